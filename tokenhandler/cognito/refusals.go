package cognito

import (
	"net/netip"
	"time"
)

const (
	// maxRefusals bounds how many addresses are remembered.
	maxRefusals = 4096
	// refusalTime is how long the refused codes of an address count after the last.
	refusalTime = 10 * time.Minute
	// maxScore bounds how many successful logins an address needs until its refused
	// codes are forgotten.
	maxScore = 8
)

// refusals remember the addresses whose codes the provider refused. A code that is
// accepted makes up for a refused one: a user who reloads the callback does not slow
// down an office that shares an address with others.
type refusals map[netip.Prefix]score

type score struct {
	refused int // codes refused, less those accepted
	until   time.Time
}

// suspects reports whether more codes of client were refused lately than accepted. An
// unknown client is never suspected.
func (r refusals) suspects(client netip.Prefix, now time.Time) bool {
	return r[client].until.After(now)
}

// note remembers whether a code of client was refused.
func (r refusals) note(client netip.Prefix, refused bool, now time.Time) {
	if !client.IsValid() {
		return
	}
	s, known := r[client]
	switch {
	case !refused && s.refused <= 1:
		delete(r, client)
		return
	case !refused:
		s.refused--
	default:
		if !s.until.After(now) {
			s.refused = 0
		}
		s.refused, s.until = min(s.refused+1, maxScore), now.Add(refusalTime)
	}
	if !known && len(r) >= maxRefusals {
		r.makeRoom(now)
	}
	r[client] = s
}

// makeRoom forgets the addresses whose time is over, or else any one of them.
func (r refusals) makeRoom(now time.Time) {
	for client, s := range r {
		if !s.until.After(now) {
			delete(r, client)
		}
	}
	for client := range r {
		if len(r) < maxRefusals {
			return
		}
		delete(r, client)
	}
}

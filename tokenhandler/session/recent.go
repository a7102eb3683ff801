package session

import (
	"strings"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/seal"
)

const (
	// maxRecent is how many sessions each half of a [recent] holds. With two cookies of
	// 3.8 KB for each session, both halves take at most 6 MB.
	maxRecent = 256
	// maxRecentAge is how long a half is filled at most. So a session that no request
	// uses any more is forgotten within twice this time.
	maxRecentAge = time.Minute
)

// recent remembers the sessions that were opened from session cookies lately, because
// an app sends the same cookie with many requests in a row. What a cookie holds depends
// on its value and on the keys only; lifetimes, activity and the deny list are not
// remembered, so that every request checks them. Only what was authenticated is
// remembered, and only under the complete value of the cookie.
type recent struct {
	mu sync.Mutex
	// begun is when young was begun, and keys are the keys of both halves.
	begun      time.Time
	keys       seal.Version
	young, old map[sealedParts]*remembered
}

// sealedParts are the values of the cookies of one session.
type sealedParts [maxParts]string

// remembered is what a session cookie holds, and the key that opened it.
type remembered struct {
	session Session
	// authorization is what session.Access points to. It is no field of Session, because
	// fmt would print it there.
	authorization string
	key           seal.KeyID
}

// find returns what is remembered of a cookie, or nil. Whatever was opened with other
// keys than those of now is forgotten first.
func (r *recent) find(parts *sealedParts, keys seal.Version, now time.Time) *remembered {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys != keys {
		r.keys, r.young, r.old = keys, nil, nil
	}
	if age := now.Sub(r.begun); age >= maxRecentAge || age < 0 {
		r.turn(now)
	}
	if found := r.young[*parts]; found != nil {
		return found
	}
	found := r.old[*parts]
	if found != nil {
		r.add(found, now)
	}
	return found
}

// remember adds a session that was opened with the given keys.
func (r *recent) remember(s *remembered, keys seal.Version, now time.Time) {
	for i, part := range s.session.source.parts {
		s.session.source.parts[i] = strings.Clone(part) // not the memory of the request's whole header
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == keys {
		r.add(s, now)
	}
}

func (r *recent) add(s *remembered, now time.Time) {
	if r.young == nil || len(r.young) >= maxRecent {
		r.turn(now)
	}
	r.young[s.session.source.parts] = s
}

// turn forgets the older half and begins a new one.
func (r *recent) turn(now time.Time) {
	r.old, r.young, r.begun = r.young, make(map[sealedParts]*remembered), now
}

package memory

import (
	"time"

	"cognito-token-handler/tokenhandler/replicas"
)

// A revocation of a user's sessions means those that have begun, and not those that
// begin later. Which of the two a session is, follows from times of the clock, which may
// be set back between the two, and which differ between replicas. So:
//
//   - A session never begins before an entry that would deny it ([List.Begin]).
//   - An entry is later than every session that has been seen here ([List.Cover]).
//   - A session from the future falls under the entries of its user ([List.Denied]).

// maxSkew is how much the clocks of replicas may differ, and so how far in the future a
// session may have begun that another replica has made.
const maxSkew = 5 * time.Second

// Begin returns the time at which a session begins that a user begins now. It is later
// than now only if an entry would deny the session otherwise. It has a resolution of a
// millisecond, as sessions have.
func (l *List) Begin(sub, sid string) time.Time {
	now := l.now()
	begun := now.Truncate(time.Millisecond)
	l.mu.RLock()
	for _, g := range l.groups(sub, sid) {
		if now.Before(g.until) {
			begun = later(begun, wholeMillisecond(g.before))
		}
	}
	l.mu.RUnlock()
	l.saw(begun)
	return begun
}

// Cover returns a revocation that is made here, with times that cover every session that
// has begun: its user's sessions whose beginning is later than Before because the clock
// was set back, and those that have begun after an earlier entry and so not before it.
// If skewed, it also covers those that replicas with other clocks have begun. A
// malformed revocation is returned as it is. What is returned is none of those that
// operators made, taken back or not.
func (l *List) Cover(e replicas.Revocation, skewed bool) replicas.Revocation {
	if e.Check() != nil || e.Lifted {
		return e
	}
	if e.Kind != replicas.KindSession {
		e = l.cover(e, skewed)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.operators.distinct(e)
}

// cover does the work of Cover for a user's sessions.
func (l *List) cover(e replicas.Revocation, skewed bool) replicas.Revocation {
	before := e.Before
	if skewed {
		before = before.Add(maxSkew)
	}
	before = later(before, time.UnixMilli(l.latest.Load()+1))
	l.mu.RLock()
	for _, g := range l.groups(e.Name, e.Name) {
		before = later(before, g.before.Add(time.Millisecond))
	}
	l.mu.RUnlock()
	before = wholeMillisecond(before)
	e.Before, e.Until = before, e.Until.Add(before.Sub(e.Before))
	return e
}

// saw notes when a session has begun.
func (l *List) saw(begun time.Time) {
	for ms := begun.UnixMilli(); ; {
		latest := l.latest.Load()
		if ms <= latest || l.latest.CompareAndSwap(latest, ms) {
			return
		}
	}
}

// operatorsGroup is the index of what operators have revoked in [List.groups].
const operatorsGroup = 2

// groups returns the entries of a user, of a session at the provider, and those of the user
// that operators made; the zero group stands for none. The caller holds mu.
func (l *List) groups(sub, sid string) (found [3]group) {
	found[0] = l.subjects[sub]
	if sid != "" {
		found[1] = l.providers[sid]
	}
	found[operatorsGroup] = l.operators.subjects[sub]
	return found
}

// foresees reports whether a session that began then comes from the future: no replica
// with a good clock has begun it, unless it began right after the entry.
func (g group) foresees(begun, now time.Time) bool {
	return begun.After(now.Add(maxSkew)) && begun.After(wholeMillisecond(g.before))
}

// wholeMillisecond rounds up to milliseconds.
func wholeMillisecond(t time.Time) time.Time {
	return t.Add(time.Millisecond - 1).Truncate(time.Millisecond)
}

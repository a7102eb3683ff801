package memory

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session"
)

const (
	// sweepEvery is how often entries that have ended are removed.
	sweepEvery = time.Minute
	// lately is how long after a login replaced a session requests of it are expected that
	// were on their way already.
	lately = time.Minute
)

// List is a deny list. It is safe for concurrent use.
type List struct {
	now      func() time.Time
	onGrowth func()
	onEnd    func(replicas.Revocation)

	// latest is the latest beginning of a session that was seen here, in Unix
	// milliseconds.
	latest atomic.Int64

	mu        sync.RWMutex
	sessions  map[session.Name]time.Time // session → when its entry ends
	replaced  map[session.Name]time.Time // session → when a login replaced it, if that was lately
	subjects  map[string]group           // sub → revoked sessions of the user
	providers map[string]group           // sid → revoked sessions of the provider's session
	operators operators
	added     uint64 // additions to subjects, providers and operators
	swept     time.Time
}

// group says which sessions of a user, or of a provider's session, are revoked: those
// that began before a time. The entry ends at until.
type group struct {
	before, until time.Time
	// added is the number of the last addition.
	added uint64
}

// New returns an empty list. now is the clock.
func New(now func() time.Time) *List {
	return &List{
		now: now, onGrowth: func() {}, onEnd: func(replicas.Revocation) {}, operators: newOperators(), sessions: make(map[session.Name]time.Time), replaced: make(map[session.Name]time.Time),
		subjects: make(map[string]group), providers: make(map[string]group),
	}
}

// OnGrowth sets a function that the list calls after each addition that revokes
// sessions which were not revoked before. The caller of the addition waits for it, so
// it must return soon. It may call the list's methods. OnGrowth must be called before
// the list is used.
func (l *List) OnGrowth(notify func()) { l.onGrowth = notify }

// OnEnd sets a function that the list calls when it has ended a session because of an
// operator's revocation, see [List.Denied]. It must return soon. OnEnd must be called
// before the list is used.
func (l *List) OnEnd(notify func(replicas.Revocation)) { l.onEnd = notify }

// Add adds a revocation, or takes an operator's one back. It never shortens one that is in
// the list. It reports whether the revocation ends sessions that were not revoked before.
// The error is that of [replicas.Revocation.Check].
func (l *List) Add(e replicas.Revocation) (added bool, err error) {
	if err := e.Check(); err != nil {
		return false, err
	}
	if added = l.add(e); added {
		l.onGrowth()
	}
	return added, nil
}

func (l *List) add(e replicas.Revocation) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	switch {
	case e.Operator:
		return l.addOperators(e)
	case l.operators.has(e):
		return false // the form in which replicas of earlier releases get it
	}
	switch e.Kind {
	case replicas.KindSession:
		name, _ := session.ParseName(e.Name) // checked by Add
		l.note(name, e.Before)
		return l.deny(name, e.Until)
	case replicas.KindSubject:
		return l.addGroup(l.subjects, e)
	case replicas.KindProviderSession:
		return l.addGroup(l.providers, e)
	}
	return false
}

func (l *List) addGroup(groups map[string]group, e replicas.Revocation) bool {
	was := groups[e.Name]
	now := group{before: later(was.before, e.Before), until: later(was.until, e.Until), added: was.added}
	if now == was {
		return false
	}
	l.added++
	now.added = l.added
	groups[e.Name] = now
	return true
}

// Since returns a function that reports whether all sessions of a user, or those of its
// session at the provider, were revoked after the call of Since. An empty sid stands for
// none.
func (l *List) Since() func(sub, sid string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	added, begun := l.added, l.now()
	return func(sub, sid string) bool {
		l.mu.RLock()
		defer l.mu.RUnlock()
		for _, g := range l.groups(sub, sid) {
			if g.added > added && !g.before.Before(begun) { // else an old entry has come from the store
				return true
			}
		}
		return false
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Deny revokes one session. The entry ends at until.
func (l *List) Deny(name session.Name, until time.Time) {
	// It is never malformed.
	_, _ = l.Add(replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Until: until})
}

// Replace is Deny for a session that a login in the same browser replaces.
func (l *List) Replace(name session.Name, until time.Time) {
	_, _ = l.Add(replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Before: l.now(), Until: until})
}

// Replaced reports whether a login has replaced the session lately, here or at another
// replica.
func (l *List) Replaced(name session.Name) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.isLate(l.replaced[name])
}

func (l *List) isLate(at time.Time) bool { return l.now().Sub(at).Abs() < lately }

// note notes when a login replaced a session. The caller holds mu.
func (l *List) note(name session.Name, at time.Time) {
	if l.isLate(at) {
		l.replaced[name] = at
	}
}

func (l *List) deny(name session.Name, until time.Time) bool {
	if !until.After(l.sessions[name]) {
		return false
	}
	l.sessions[name] = until
	return true
}

// Denied reports whether a session was revoked: by its name, with all sessions of its
// user, or with those of its session at the provider. An empty sid stands for none.
//
// A session that an operator's revocation denies has an entry of its own from then on:
// its user was logged out, so it stays ended if the revocation is taken back.
func (l *List) Denied(name session.Name, sub, sid string, begun time.Time) bool {
	now := l.now()
	l.saw(begun)
	f := l.find(name, sub, sid, begun, now)
	if f.until.IsZero() {
		return f.denied
	}
	entry := l.Cover(replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Until: f.until}, false)
	if l.add(entry) && f.byOperator {
		l.onEnd(entry)
	}
	return f.denied
}

// finding is what the list says of a session.
type finding struct {
	denied, byOperator bool
	// until is when the entry ends that the session itself gets. It is zero if it gets none.
	until time.Time
}

// find does the work of Denied. A session gets an entry of its own if it is denied only
// because it comes from the future, see [group.foresees] (when that time has come, its
// beginning will look right), or only by an operator.
func (l *List) find(name session.Name, sub, sid string, begun, now time.Time) finding {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if now.Before(l.sessions[name]) {
		return finding{denied: true}
	}
	for i, g := range l.groups(sub, sid) {
		byOperator := i == operatorsGroup
		switch {
		case !now.Before(g.until):
		case begun.Before(g.before) && byOperator:
			return finding{true, true, g.until}
		case begun.Before(g.before):
			return finding{denied: true}
		case g.foresees(begun, now):
			return finding{true, byOperator, begun.Add(g.until.Sub(g.before))}
		}
	}
	if until := l.operators.sessions[name]; now.Before(until) {
		return finding{true, true, until}
	}
	return finding{}
}

// Len returns the number of entries, with those that ended since the last sweep.
func (l *List) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.sessions) + len(l.subjects) + len(l.providers) + l.operators.count()
}

// Entries returns the revocations that have not ended and were not taken back, sorted by
// kind and name.
func (l *List) Entries() []replicas.Revocation {
	return slices.DeleteFunc(l.Records(), func(e replicas.Revocation) bool { return e.Lifted })
}

// Records returns the entries, and those revocations that were taken back.
func (l *List) Records() []replicas.Revocation {
	l.mu.RLock()
	defer l.mu.RUnlock()
	now := l.now()
	all := l.operators.list(now)
	for name, until := range l.sessions {
		if now.Before(until) {
			all = append(all, replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Until: until})
		}
	}
	for kind, groups := range map[replicas.Kind]map[string]group{replicas.KindSubject: l.subjects, replicas.KindProviderSession: l.providers} {
		for name, g := range groups {
			if now.Before(g.until) {
				all = append(all, replicas.Revocation{Kind: kind, Name: name, Before: g.before, Until: g.until})
			}
		}
	}
	slices.SortFunc(all, func(a, b replicas.Revocation) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), a.Until.Compare(b.Until))
	})
	return all
}

// sweep removes the entries that have ended, at most every [sweepEvery]. The caller
// holds mu.
func (l *List) sweep() {
	now := l.now()
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	for name, until := range l.sessions {
		if !now.Before(until) {
			delete(l.sessions, name)
		}
	}
	for name, at := range l.replaced {
		if !l.isLate(at) {
			delete(l.replaced, name)
		}
	}
	for _, groups := range []map[string]group{l.subjects, l.providers} {
		for name, g := range groups {
			if !now.Before(g.until) {
				delete(groups, name)
			}
		}
	}
	l.operators.sweep(now)
}

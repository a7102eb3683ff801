package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session"
)

// operators are the revocations that operators made. They are kept apart from the others,
// and each by itself, because one that was made by mistake can be taken back, and must not
// take a logout with it. Those taken back are kept too until they end: another replica, or
// one of an earlier release, may bring the revocation once more. All fields are guarded by
// [List].mu.
type operators struct {
	made map[target][]made
	// sessions and subjects say what those that were not taken back amount to.
	sessions map[session.Name]time.Time // session → when its entry ends
	subjects map[string]group           // sub → revoked sessions of the user
}

// target is what a revocation names.
type target struct {
	kind replicas.Kind
	name string
}

// made is one revocation. Its times are whole milliseconds, as other replicas get them.
type made struct {
	group

	lifted bool
}

func newOperators() operators {
	return operators{made: make(map[target][]made), sessions: make(map[session.Name]time.Time), subjects: make(map[string]group)}
}

func targetOf(e replicas.Revocation) target { return target{e.Kind, e.Name} }

// find returns the index of a revocation among those of its target, or -1.
func (o *operators) find(e replicas.Revocation) int {
	before, until := wholeMillisecond(e.Before), wholeMillisecond(e.Until)
	return slices.IndexFunc(o.made[targetOf(e)], func(m made) bool { return m.before.Equal(before) && m.until.Equal(until) })
}

// has reports whether an operator made a revocation with these times, taken back or not.
func (o *operators) has(e replicas.Revocation) bool { return o.find(e) >= 0 }

// distinct returns the revocation with an end that is later by some milliseconds if an
// operator has made the same: otherwise it would be taken for that one.
func (o *operators) distinct(e replicas.Revocation) replicas.Revocation {
	for o.has(e) {
		e.Until = e.Until.Add(time.Millisecond)
	}
	return e
}

// addOperators adds an operator's revocation, or takes it back, and reports whether it ends
// sessions that operators had not ended before. The caller holds mu.
func (l *List) addOperators(e replicas.Revocation) bool {
	o, t := &l.operators, targetOf(e)
	i := o.find(e)
	if i < 0 {
		l.added++
		o.made[t] = append(o.made[t], made{group: group{wholeMillisecond(e.Before), wholeMillisecond(e.Until), l.added}, lifted: e.Lifted})
		o.sum(t)
		return !e.Lifted
	}
	if m := &o.made[t][i]; e.Lifted && !m.lifted {
		m.lifted = true
		o.sum(t)
	}
	return false
}

// sum renews what the revocations of a target amount to.
func (o *operators) sum(t target) {
	var all group
	for _, m := range o.made[t] {
		if !m.lifted {
			all = group{later(all.before, m.before), later(all.until, m.until), max(all.added, m.added)}
		}
	}
	if t.kind == replicas.KindSession {
		name, _ := session.ParseName(t.name) // checked by Add
		set(o.sessions, name, all.until, all.until.IsZero())
		return
	}
	set(o.subjects, t.name, all, all.until.IsZero())
}

// set sets an entry of a map, or removes it.
func set[K comparable, V any](m map[K]V, key K, value V, remove bool) {
	if remove {
		delete(m, key)
		return
	}
	m[key] = value
}

// sweep removes the revocations that have ended.
func (o *operators) sweep(now time.Time) {
	for t, all := range o.made {
		rest := slices.DeleteFunc(all, func(m made) bool { return !now.Before(m.until) })
		set(o.made, t, rest, len(rest) == 0)
		if len(rest) < len(all) {
			o.sum(t)
		}
	}
}

func (o *operators) count() (n int) {
	for _, all := range o.made {
		n += len(all)
	}
	return n
}

// list returns the revocations that have not ended, those that were taken back included.
func (o *operators) list(now time.Time) []replicas.Revocation {
	var list []replicas.Revocation
	for t, all := range o.made {
		for _, m := range all {
			if now.Before(m.until) {
				list = append(list, replicas.Revocation{Kind: t.kind, Name: t.name, Before: m.before, Until: m.until, Operator: true, Lifted: m.lifted})
			}
		}
	}
	return list
}

// Lift takes back every revocation that operators made with this kind and name, and that has
// not ended, as far as the list knows. It reports whether there are any. revoke gets what
// takes one back: it adds that here, and in the other replicas.
func (l *List) Lift(ctx context.Context, kind replicas.Kind, name string, revoke func(context.Context, replicas.Revocation) error) (found bool, err error) {
	for _, e := range l.Entries() {
		if !e.Operator || e.Kind != kind || e.Name != name {
			continue
		}
		e.Lifted = true
		if err := revoke(ctx, e); err != nil {
			return found, fmt.Errorf("taking a revocation back: %w", err)
		}
		found = true
	}
	return found, nil
}

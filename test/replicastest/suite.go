package replicastest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// DenyList is one replica's view of the revocations that all replicas share.
type DenyList interface {
	// Revoke ends sessions: on this replica at once, on the others as soon as the store has the revocation. The error is that of a
	// malformed revocation only; in an outage of the store the revocation is delivered later.
	Revoke(ctx context.Context, revocation replicas.Revocation) error
	// Lift takes back what operators have revoked with this kind and name, here at once, and reports whether there is anything.
	Lift(ctx context.Context, kind replicas.Kind, name string) (found bool, err error)
	// Denied reports whether a session was revoked, see [refresh.DenyList].
	Denied(name session.Name, sub, sid string, begun time.Time) bool
	// Replaced reports whether a revocation with Before has just ended the session, see [refresh.DenyList].
	Replaced(name session.Name) bool
	// Begin returns the time at which a session begins that a user begins now. No revocation that the replica knows denies it.
	Begin(sub, sid string) time.Time
}

// Maps are small maps that all replicas share.
type Maps interface {
	// ReadMap returns a map and its version; of a map that does not exist, no entries and "".
	ReadMap(ctx context.Context, name string) (entries map[string]string, version string, err error)
	// ChangeMap changes a map if it still has this version, and keeps it for the given time. It reports false if it has another one.
	ChangeMap(ctx context.Context, name, version string, set map[string]string, remove []string, keep time.Duration) (changed bool, err error)
}

// Replica is one process that uses the store.
type Replica struct {
	// Maps shares small maps. It is nil if the store has none.
	Maps Maps
	// Refreshes shares leases and results. It is nil if the store has none.
	Refreshes refresh.Replicas
	// DenyList shares revocations. It is nil if the store has none.
	DenyList DenyList
	// Crash ends the process without letting it release anything.
	Crash func()
	// Hesitate keeps the process from restoring its results, or lets it do so. It is nil if
	// the store does not wait for that.
	Hesitate func(hesitate bool)
}

// Store is an empty store, and what can happen to it.
type Store struct {
	// Start starts one more replica and returns when it has read the deny list. Required.
	Start func(t *testing.T) *Replica
	// Break begins an outage and returns when the given replicas have noticed it. Mend ends the outage and returns when they have
	// noticed that. Both are nil for a store that cannot be out.
	Break, Mend func(t *testing.T, noticed ...*Replica)
	// Forget empties the store, as a restart without its data does. It is nil for a store that dies with its only replica.
	Forget func(t *testing.T)
	// Alone says that the store serves one replica only.
	Alone bool
	// SyntheticTime says that the store uses nothing outside the test's process, so that each case runs in a bubble of
	// [synctest.Test], in which waiting takes no time.
	SyntheticTime bool
}

// testCase is one property of a store.
type testCase struct {
	name string
	run  func(t *testing.T, s Store)
}

// Run checks every property that the store's replicas have the methods for. It calls open at the beginning of each case.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	first := open(t)
	replica := first.Start(t)
	cases := []testCase{}
	if replica.Refreshes != nil {
		cases = append(cases, refreshCases()...)
	}
	if replica.Maps != nil {
		cases = append(cases, mapCases()...)
	}
	if replica.DenyList != nil {
		cases = append(cases, denyListCases()...)
		if !first.Alone {
			cases = append(cases, sharedDenyListCases()...)
		}
	}
	if first.Break != nil {
		cases = append(cases, outageCases(replica)...)
	}
	replica.Crash()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if first.SyntheticTime {
				synctest.Test(t, func(t *testing.T) { c.run(t, open(t)) })
			} else {
				c.run(t, open(t))
			}
		})
	}
}

// start starts some replicas.
func (s Store) start(t *testing.T, count int) []*Replica {
	t.Helper()
	all := make([]*Replica, count)
	for i := range all {
		all[i] = s.Start(t)
	}
	return all
}

// patience is how long a case waits for what must happen.
const patience = testkit.Deadline

// eventually waits until done reports true. It asks again and again, because what it waits for happens in another process.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for begun := time.Now(); !done(); <-ticker.C {
		if time.Since(begun) > patience {
			t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}

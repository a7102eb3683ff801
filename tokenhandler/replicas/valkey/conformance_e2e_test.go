//go:build e2e

package valkey_test

import (
	"context"
	"testing"
	"time"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/session"
)

// denyList is a replica's deny list as the suite uses it.
type denyList struct{ *replica }

func (d denyList) Revoke(ctx context.Context, revocation replicas.Revocation) error {
	return d.Store.Revoke(ctx, revocation)
}

func (d denyList) Denied(name session.Name, sub, sid string, begun time.Time) bool {
	return d.local.Denied(name, sub, sid, begun)
}

func (d denyList) Replaced(name session.Name) bool { return d.local.Replaced(name) }

func (d denyList) Begin(sub, sid string) time.Time { return d.local.Begin(sub, sid) }

func (d denyList) Lift(ctx context.Context, kind replicas.Kind, name string) (found bool, err error) {
	return d.local.Lift(ctx, kind, name, d.Revoke)
}

// startForSuite starts a replica and waits until it has read the deny list.
func startForSuite(t *testing.T, url string) *replicastest.Replica {
	t.Helper()
	r := start(t, url)
	eventually(t, "the store is ready", func() bool { return r.Ready() == nil })
	return &replicastest.Replica{Refreshes: r.Store, DenyList: denyList{r}, Maps: r.Store, Crash: r.stop, Hesitate: r.slow.Store}
}

// stateOf waits until the replicas have noticed whether the store works.
func stateOf(t *testing.T, works bool, all []*replicastest.Replica) {
	t.Helper()
	for _, r := range all {
		store := r.Refreshes.(*valkey.Store) //nolint:errcheck // startForSuite made it
		eventually(t, "the state of the store is noticed", func() bool { return (store.Ready() == nil) == works })
	}
}

func TestConformance(t *testing.T) {
	replicastest.Run(t, func(t *testing.T) replicastest.Store {
		t.Helper()
		server := serve(t, redislocal.Options{})
		return conformingStore(server, server.URL())
	})
}

// conformingStore is a store that replicas reach at a URL, and whose keys are on a server.
func conformingStore(server *redislocal.Server, url string) replicastest.Store {
	resume := func(t *testing.T) {
		t.Helper()
		if err := server.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return replicastest.Store{
		Start: func(t *testing.T) *replicastest.Replica { t.Helper(); return startForSuite(t, url) },
		Break: func(t *testing.T, noticed ...*replicastest.Replica) {
			t.Helper()
			server.Stop()
			stateOf(t, false, noticed)
		},
		Mend: func(t *testing.T, noticed ...*replicastest.Replica) {
			t.Helper()
			resume(t)
			stateOf(t, true, noticed)
		},
		Forget: func(t *testing.T) {
			t.Helper()
			server.Stop()
			if err := server.Forget(); err != nil {
				t.Fatal(err)
			}
			resume(t)
		},
	}
}

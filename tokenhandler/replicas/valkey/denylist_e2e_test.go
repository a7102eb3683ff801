//go:build e2e

package valkey_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session"
)

// subject is an entry that ends a user's sessions of before now.
func subject(name string) replicas.Revocation {
	now := time.Now()
	return replicas.Revocation{Kind: replicas.KindSubject, Name: name, Before: now, Until: now.Add(time.Hour)}
}

func revoke(t *testing.T, r *replica, e replicas.Revocation) {
	t.Helper()
	if err := r.Revoke(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// denies reports whether the replica denies a session of that user that began a minute ago.
func (r *replica) denies(sub string) bool {
	return r.local.Denied(session.Name{9}, sub, "", time.Now().Add(-time.Minute))
}

func TestRevocationsOutliveTheService(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	first := ready(t, server.URL(), 1)[0]
	const many = 1200 // more than are read at once
	for i := range many {
		revoke(t, first, subject(fmt.Sprint("user ", i)))
	}
	eventually(t, "the store has all", func() bool { return first.Pending() == 0 })
	first.stop()
	server.Stop()
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := ready(t, server.URL(), 1)[0]
	if got := second.local.Len(); got != many {
		t.Errorf("%d entries when ready, want %d", got, many)
	}
}

// TestStoreHealsFromReplicas: when the store loses its data, every replica adds the revocations that it knows.
func TestStoreHealsFromReplicas(t *testing.T) {
	t.Parallel()
	losses := map[string]func(*testing.T, *redislocal.Server){
		"flushed": func(t *testing.T, server *redislocal.Server) {
			t.Helper()
			command(t, direct(t, server), "FLUSHALL")
		},
		"stream evicted": func(t *testing.T, server *redislocal.Server) {
			t.Helper()
			command(t, direct(t, server), "DEL", "{tokenhandler}:denied")
		},
		"restarted empty": func(t *testing.T, server *redislocal.Server) {
			t.Helper()
			server.Stop()
			if err := server.Forget(); err != nil {
				t.Fatal(err)
			}
			if err := server.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, redislocal.Options{})
			stores := ready(t, server.URL(), 2)
			revoke(t, stores[0], subject("user"))
			eventually(t, "the entry is there", func() bool { return stores[1].denies("user") })
			epochs := []uint64{stores[0].Epoch(), stores[1].Epoch()}
			lose(t, server)
			for i, r := range stores {
				eventually(t, "the loss is noticed", func() bool { return r.Epoch() != epochs[i] })
				eventually(t, "the loss is repaired", func() bool { return r.Ready() == nil })
			}
			if third := ready(t, server.URL(), 1)[0]; !third.denies("user") {
				t.Error("the store has not the entry again")
			}
			revoke(t, stores[1], subject("other"))
			eventually(t, "entries still travel", func() bool { return stores[0].denies("other") })
		})
	}
}

// TestRestartWithDataAddsNothing: replicas add only what the store lacks.
func TestRestartWithDataAddsNothing(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := ready(t, server.URL(), 3)
	for i := range 10 {
		revoke(t, stores[0], subject(fmt.Sprint("user ", i)))
	}
	for _, r := range stores {
		eventually(t, "every replica has all", func() bool { return r.local.Len() == 10 && stores[0].Pending() == 0 })
	}
	before := kept(t, server) // more than 10, if a call was too slow and was repeated
	epochs := []uint64{stores[0].Epoch(), stores[1].Epoch(), stores[2].Epoch()}
	server.Stop()
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, r := range stores {
		eventually(t, "the loss is repaired", func() bool { return r.Epoch() != epochs[i] && r.Ready() == nil && r.Pending() == 0 })
	}
	if got := kept(t, server); got != before || got < 10 {
		t.Errorf("%d records, want %d, of 10 entries", got, before)
	}
}

// kept counts the entries that are in the stream.
func kept(t *testing.T, server *redislocal.Server) int {
	t.Helper()
	client := direct(t, server)
	records, err := client.Do(t.Context(), client.B().Xrange().Key("{tokenhandler}:denied").Start("-").End("+").Build()).AsXRange()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, record := range records {
		if _, ok := record.FieldValues["kind"]; ok {
			count++
		}
	}
	return count
}

func TestEndedEntriesAreRemoved(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	r := ready(t, server.URL(), 1)[0]
	for life := 2 * time.Second; ; life *= 2 {
		until := time.Now().Add(life)
		for i := range 100 {
			name := fmt.Sprintf("%016x", i)
			revoke(t, r, replicas.Revocation{Kind: replicas.KindSession, Name: name, Until: until})
		}
		eventually(t, "the store has all", func() bool { return r.Pending() == 0 })
		got := kept(t, server)
		if time.Now().After(until) {
			continue // a busy machine was too slow to count them
		}
		if got < 100 {
			t.Fatalf("%d records, want 100", got)
		}
		break
	}
	revoke(t, r, subject("user"))
	eventually(t, "the store has the last", func() bool { return r.Pending() == 0 })
	eventually(t, "only one is left", func() bool { return kept(t, server) == 1 })
}

// TestForeignRecords: somebody who can write to the store cannot keep revocations from the replicas.
func TestForeignRecords(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{})
	stores := ready(t, server.URL(), 2)
	client := direct(t, server)
	until := fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())
	for _, fields := range [][]string{
		{"unknown", "x"},
		{"until", "tomorrow", "kind", "sub", "name", "x", "before", until},
		{"until", until, "kind", "root", "name", "x", "before", until},
		{"until", until, "kind", "session", "name", strings.Repeat("x", 16), "before", ""},
		{"until", until, "kind", "sub", "name", "x", "before", ""},
		{"until", until, "kind", "sub", "name", "x", "before", until, "more", "y"},
	} {
		command(t, client, append([]string{"XADD", "{tokenhandler}:denied", "*"}, fields...)...)
	}
	revoke(t, stores[0], subject("user"))
	eventually(t, "the entry is there", func() bool { return stores[1].denies("user") })
	if third := ready(t, server.URL(), 1)[0]; third.local.Len() != 1 {
		t.Errorf("entries = %v", third.local.Entries())
	}
}

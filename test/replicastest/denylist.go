package replicastest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session"
)

func denyListCases() []testCase {
	return []testCase{
		{"EachKindOfRevocation", eachKindOfRevocation},
		{"MalformedRevocation", malformedRevocation},
		{"RevocationIsNotShortened", revocationIsNotShortened},
		{"RevocationEnds", revocationEnds},
		{"SessionsInAnyOrder", sessionsInAnyOrder},
		{"ConcurrentRevocations", concurrentRevocations},
		{"LiftedRevocation", liftedRevocation},
		{"OnlyOperatorsRevocationsAreLifted", onlyOperatorsRevocationsAreLifted},
	}
}

func sharedDenyListCases() []testCase {
	return []testCase{
		{"RevocationReachesEveryReplica", revocationReachesEveryReplica},
		{"RevocationOutlivesItsRequest", revocationOutlivesItsRequest},
		{"LateReplicaKnowsAllRevocations", lateReplicaKnowsAllRevocations},
		{"ReplacementReachesEveryReplica", replacementReachesEveryReplica},
		{"SessionsOfReplicasWithOtherClocks", sessionsOfReplicasWithOtherClocks},
		{"LiftReachesEveryReplica", liftReachesEveryReplica},
		{"EndedSessionStaysEndedEverywhere", endedSessionStaysEndedEverywhere},
	}
}

// ofUser revokes the sessions of a user that have begun.
func ofUser(sub string) replicas.Revocation {
	now := time.Now()
	return replicas.Revocation{Kind: replicas.KindSubject, Name: sub, Before: now, Until: now.Add(time.Hour)}
}

// deniesUser reports whether the replica denies a session of the user that began a minute ago.
func (r *Replica) deniesUser(sub string) bool {
	return r.DenyList.Denied(session.Name{9}, sub, "", time.Now().Add(-time.Minute))
}

func (r *Replica) revoke(t *testing.T, revocation replicas.Revocation) {
	t.Helper()
	if err := r.DenyList.Revoke(t.Context(), revocation); err != nil {
		t.Errorf("revoking: %v", err)
	}
}

// eachKindOfRevocation: a revocation counts at once where it was made, for the sessions that it names and no others.
func eachKindOfRevocation(t *testing.T, s Store) {
	r := s.Start(t)
	now := time.Now()
	until, earlier := now.Add(time.Hour), now.Add(-time.Minute)
	r.revoke(t, replicas.Revocation{Kind: replicas.KindSession, Name: one.String(), Until: until})
	r.revoke(t, replicas.Revocation{Kind: replicas.KindSubject, Name: "user", Before: now, Until: until})
	r.revoke(t, replicas.Revocation{Kind: replicas.KindProviderSession, Name: "sid", Before: now, Until: until})
	later := r.DenyList.Begin("user", "sid")
	for what, c := range map[string]struct {
		name     session.Name
		sub, sid string
		begun    time.Time
		want     bool
	}{
		"the session":                        {one, "another", "", later, true},
		"a session of the user":              {other, "user", "another", earlier, true},
		"a later session of the user":        {other, "user", "", later, false},
		"a session of the provider's":        {other, "another", "sid", earlier, true},
		"a later session of the provider's":  {other, "another", "sid", later, false},
		"another session":                    {other, "another", "another", earlier, false},
		"another session without a sid":      {other, "another", "", earlier, false},
		"a sub that is a revoked sid":        {other, "sid", "", earlier, false},
		"a sid that is a revoked sub":        {other, "another", "user", earlier, false},
		"a sub that is the session's name":   {other, one.String(), "", earlier, false},
		"the zero session of an unknown sub": {session.Name{}, "", "", earlier, false},
	} {
		if got := r.DenyList.Denied(c.name, c.sub, c.sid, c.begun); got != c.want {
			t.Errorf("%s: denied %t, want %t", what, got, c.want)
		}
	}
}

func malformedRevocation(t *testing.T, s Store) {
	r := s.Start(t)
	if err := r.DenyList.Revoke(t.Context(), replicas.Revocation{Kind: "all", Name: "user", Before: time.Now(), Until: time.Now().Add(time.Hour)}); err == nil {
		t.Error("a malformed revocation was taken")
	}
}

// revocationIsNotShortened: revoking again with an earlier end brings no session back.
func revocationIsNotShortened(t *testing.T, s Store) {
	r := s.Start(t)
	now := time.Now()
	for _, until := range []time.Duration{time.Hour, time.Second} {
		r.revoke(t, replicas.Revocation{Kind: replicas.KindSession, Name: one.String(), Until: now.Add(until)})
	}
	waitUntil(t, now.Add(time.Second))
	if !r.DenyList.Denied(one, "", "", now) {
		t.Error("the session came back")
	}
}

func revocationEnds(t *testing.T, s Store) {
	r := s.Start(t)
	until := time.Now().Add(time.Second)
	r.revoke(t, replicas.Revocation{Kind: replicas.KindSession, Name: one.String(), Until: until})
	waitUntil(t, until)
	eventually(t, "the revocation has ended", func() bool { return !r.DenyList.Denied(one, "", "", until) })
}

// sessionsInAnyOrder: all sessions of a user that have begun are ended, and none that begin later, however quickly that follows one
// another and whatever times they have.
func sessionsInAnyOrder(t *testing.T, s Store) {
	r := s.Start(t)
	for round := range 5 {
		begun := r.DenyList.Begin("user", "")
		if r.DenyList.Denied(other, "user", "", begun) {
			t.Fatalf("round %d: a new session is denied", round)
		}
		r.revoke(t, ofUser("user"))
		if !r.DenyList.Denied(other, "user", "", begun) {
			t.Fatalf("round %d: a session outlives the revocation", round)
		}
	}
}

// sessionsOfReplicasWithOtherClocks: the same across replicas whose clocks differ by some seconds.
func sessionsOfReplicasWithOtherClocks(t *testing.T, s Store) {
	all := s.start(t, 2)
	ahead := time.Now().Add(2 * time.Second) // when a session begins by a clock that is ahead
	all[0].revoke(t, ofUser("user"))
	for i, r := range all {
		eventually(t, fmt.Sprint("the session is denied by replica ", i), func() bool { return r.DenyList.Denied(other, "user", "", ahead) })
	}
	for i, r := range all {
		if r.DenyList.Denied(other, "user", "", all[1].DenyList.Begin("user", "")) {
			t.Errorf("replica %d denies a session that began after the revocation", i)
		}
	}
}

// waitUntil waits for a point in time.
func waitUntil(t *testing.T, when time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(when)):
	case <-t.Context().Done():
	}
}

// concurrentRevocations: none is lost when all replicas revoke at the same time.
func concurrentRevocations(t *testing.T, s Store) {
	count := 3
	if s.Alone {
		count = 1
	}
	all := s.start(t, count)
	const callers, each = 4, 10
	var working sync.WaitGroup
	var users []string
	for i, r := range all {
		for c := range callers {
			for n := range each {
				users = append(users, fmt.Sprint("user ", i, c, n))
			}
			working.Go(func() {
				for n := range each {
					user := fmt.Sprint("user ", i, c, n)
					r.revoke(t, ofUser(user))
					if !r.deniesUser(user) {
						t.Errorf("%s is not denied where it was revoked", user)
					}
				}
			})
		}
	}
	working.Wait()
	for i, r := range all {
		for _, user := range users {
			eventually(t, fmt.Sprint(user, " is denied by replica ", i), func() bool { return r.deniesUser(user) })
		}
	}
}

func revocationReachesEveryReplica(t *testing.T, s Store) {
	all := s.start(t, 3)
	now := time.Now()
	until := now.Add(time.Hour)
	const odd = "a sid, 100 % \r\n odd"
	all[0].revoke(t, replicas.Revocation{Kind: replicas.KindSession, Name: one.String(), Until: until})
	all[1].revoke(t, ofUser("user"))
	all[2].revoke(t, replicas.Revocation{Kind: replicas.KindProviderSession, Name: odd, Before: now, Until: until})
	earlier := now.Add(-time.Minute)
	for _, r := range all {
		eventually(t, "the session is denied", func() bool { return r.DenyList.Denied(one, "", "", now) })
		eventually(t, "the user is denied", func() bool { return r.DenyList.Denied(other, "user", "", earlier) })
		eventually(t, "the provider's session is denied", func() bool { return r.DenyList.Denied(other, "", odd, earlier) })
		if r.DenyList.Denied(other, "user", odd, r.DenyList.Begin("user", odd)) {
			t.Error("a session that began after the revocation is denied")
		}
	}
}

// replacementReachesEveryReplica: every replica can tell a session that a login in the same browser has just replaced from one that was
// ended otherwise, or some time ago.
func replacementReachesEveryReplica(t *testing.T, s Store) {
	all := s.start(t, 2)
	now := time.Now()
	third := session.Name{3}
	for name, before := range map[session.Name]time.Time{one: now, other: {}, third: now.Add(-2 * time.Minute)} {
		all[0].revoke(t, replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Before: before, Until: now.Add(time.Hour)})
	}
	for i, r := range all {
		for name, want := range map[session.Name]bool{one: true, other: false, third: false} {
			eventually(t, "the session is denied", func() bool { return r.DenyList.Denied(name, "", "", now) })
			if got := r.DenyList.Replaced(name); got != want {
				t.Errorf("replica %d: %s was replaced lately: %v", i, name, got)
			}
		}
	}
}

// revocationOutlivesItsRequest: a user who logs out may close the tab at once, which cancels the request.
func revocationOutlivesItsRequest(t *testing.T, s Store) {
	all := s.start(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := all[0].DenyList.Revoke(ctx, ofUser("user")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the user is denied", func() bool { return all[1].deniesUser("user") })
}

// lateReplicaKnowsAllRevocations: a replica that starts later denies what was revoked before, also if who revoked it has gone.
func lateReplicaKnowsAllRevocations(t *testing.T, s Store) {
	first, witness := s.Start(t), s.Start(t)
	const many = 600 // more than a store may send at once
	for n := range many {
		first.revoke(t, ofUser(fmt.Sprint("user ", n)))
	}
	for n := range many { // on a busy machine the store gets some of them later
		eventually(t, "the user is denied", func() bool { return witness.deniesUser(fmt.Sprint("user ", n)) })
	}
	first.Crash()
	late := s.Start(t)
	for n := range many {
		if !late.deniesUser(fmt.Sprint("user ", n)) {
			t.Fatalf("user %d is not denied by a replica that has read the deny list", n)
		}
	}
}

package replicastest

import (
	"fmt"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/session"
)

// byOperator is what an operator revokes: a session if it is named, else those of the user that have begun.
func byOperator(name string) replicas.Revocation {
	e := ofUser(name)
	if _, err := session.ParseName(name); err == nil {
		e.Kind, e.Before = replicas.KindSession, time.Time{}
	}
	e.Operator = true
	return e
}

func (r *Replica) lift(t *testing.T, name string) (found bool) {
	t.Helper()
	found, err := r.DenyList.Lift(t.Context(), byOperator(name).Kind, name)
	if err != nil {
		t.Errorf("lifting: %v", err)
	}
	return found
}

// denies reports whether the replica denies this session of the user, which began a minute ago. From then on the session has ended.
func (r *Replica) denies(name session.Name, sub string) bool {
	return r.DenyList.Denied(name, sub, "", time.Now().Add(-time.Minute))
}

// liftedRevocation: what an operator revoked by mistake, twice, ends no further session once it is taken back. A session that was
// refused meanwhile stays ended.
func liftedRevocation(t *testing.T, s Store) {
	r := s.Start(t)
	for _, name := range []string{"user", one.String()} {
		r.revoke(t, byOperator(name))
		r.revoke(t, byOperator(name))
	}
	if seen := (session.Name{7}); !r.denies(seen, "user") || !r.lift(t, "user") || !r.denies(seen, "user") || !r.denies(seen, "nobody") {
		t.Error("a session that was refused is alive again")
	}
	if r.denies(other, "user") {
		t.Error("the revocation of the user is still in force")
	}
	if !r.lift(t, one.String()) || r.denies(one, "nobody") {
		t.Error("the revocation of the session is still in force")
	}
	r.revoke(t, byOperator("user"))
	if !r.denies(other, "user") {
		t.Error("the user cannot be revoked again")
	}
	r.revoke(t, byOperator(one.String()))
	if !r.denies(one, "nobody") || !r.lift(t, one.String()) || !r.denies(one, "nobody") {
		t.Error("a session that was revoked by name and refused is alive again")
	}
}

// onlyOperatorsRevocationsAreLifted: a logout, or what the provider revoked, stays in force, also for a user whom an operator had revoked too.
func onlyOperatorsRevocationsAreLifted(t *testing.T, s Store) {
	r := s.Start(t)
	r.revoke(t, ofUser("user"))
	until := time.Now().Add(time.Hour)
	r.revoke(t, replicas.Revocation{Kind: replicas.KindSession, Name: one.String(), Until: until})
	r.revoke(t, replicas.Revocation{Kind: replicas.KindProviderSession, Name: "sid", Before: time.Now(), Until: until})
	for _, name := range []string{"user", "sid", one.String()} {
		if r.lift(t, name) {
			t.Errorf("%s: there is something to lift", name)
		}
	}
	for _, name := range []string{"user", one.String()} {
		r.revoke(t, byOperator(name))
		if !r.lift(t, name) || r.lift(t, name) {
			t.Errorf("%s: the operator's revocation was not lifted once", name)
		}
	}
	if !r.denies(other, "user") || !r.denies(one, "nobody") || !r.DenyList.Denied(other, "nobody", "sid", time.Now().Add(-time.Minute)) {
		t.Error("a logout was taken back")
	}
}

// liftReachesEveryReplica: a revocation is taken back by another replica than the one that made it, and one that starts later knows both.
func liftReachesEveryReplica(t *testing.T, s Store) {
	all := s.start(t, 2)
	all[0].revoke(t, byOperator("user"))
	all[0].revoke(t, byOperator(one.String()))
	all[0].revoke(t, ofUser("other"))
	eventually(t, "the last revocation has arrived", func() bool { return all[1].deniesUser("other") })
	if !all[1].lift(t, "user") || !all[1].lift(t, one.String()) {
		t.Error("the other replica has nothing to lift")
	}
	all[1].revoke(t, ofUser("last"))
	eventually(t, "the lifts have arrived", func() bool { return all[0].deniesUser("last") })
	for i, r := range append(all, s.Start(t)) {
		if r.denies(other, "user") || r.denies(one, "nobody") {
			t.Errorf("replica %d still denies", i)
		}
	}
}

// endedSessionStaysEndedEverywhere: a session that one replica has refused is not alive again at another.
func endedSessionStaysEndedEverywhere(t *testing.T, s Store) {
	all := s.start(t, 2)
	all[0].revoke(t, byOperator("user"))
	if !all[0].denies(one, "user") {
		t.Error("not denied")
	}
	for i, r := range all {
		eventually(t, fmt.Sprint("replica ", i, " knows that the session has ended"), func() bool { return r.denies(one, "nobody") })
	}
	if !all[1].lift(t, "user") || !all[1].denies(one, "user") || all[1].denies(other, "user") {
		t.Error("the wrong sessions are alive")
	}
}

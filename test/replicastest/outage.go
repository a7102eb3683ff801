package replicastest

import (
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/session/refresh"
)

func outageCases(r *Replica) (cases []testCase) {
	if r.Refreshes != nil {
		cases = append(cases,
			testCase{"NothingIsKnownInAnOutage", nothingIsKnownInAnOutage},
			testCase{"ForgottenResultsArePublishedAgain", forgottenResultsArePublishedAgain},
		)
	}
	if r.DenyList != nil {
		cases = append(cases,
			testCase{"RevocationInAnOutage", revocationInAnOutage},
			testCase{"DenyListHealsFromReplicas", denyListHealsFromReplicas},
		)
	}
	if r.Maps != nil {
		cases = append(cases, testCase{"MapsInAnOutage", mapsInAnOutage})
	}
	return cases
}

// nothingIsKnownInAnOutage: every method that needs the store returns an error and no result, without a long wait. Afterwards all
// is as before, as far as the store has kept it.
func nothingIsKnownInAnOutage(t *testing.T, s Store) {
	all := s.start(t, 2)
	all[0].publish(t, other, "", 2, "known before")
	held := all[0].mustLease(t, one, 1, lease)
	s.Break(t, all...)
	testkit.Fast(t, time.Second, "calls in an outage that is known", func() time.Duration {
		begun := time.Now()
		for _, r := range all {
			r.knowsNothing(t)
		}
		return time.Since(begun)
	})
	s.Mend(t, all...)
	all[1].mustWait(t, one, 1) // the holder is still at work
	all[0].publish(t, one, held, 2, "made in the outage")
	if got := all[1].claim(t, one, 1, lease); string(got.Sealed) != "made in the outage" {
		t.Errorf("claimed %+v after the outage", got)
	}
}

// knowsNothing checks that every method that needs the store returns an error and no result.
func (r *Replica) knowsNothing(t *testing.T) {
	t.Helper()
	if got, err := r.Refreshes.Claim(t.Context(), other, 1, lease); err == nil || got.Lease != "" || got.Generation != 0 || got.Sealed != nil {
		t.Errorf("Claim = %+v, %v in an outage", got, err)
	}
	if err := r.Refreshes.Publish(t.Context(), other, "", refresh.Result{Generation: 3}, time.Hour); err == nil {
		t.Error("Publish succeeded in an outage")
	}
	if err := r.Refreshes.Release(t.Context(), other, "lease"); err == nil {
		t.Error("Release succeeded in an outage")
	}
	if r.Refreshes.Epoch() == 0 {
		t.Error("Epoch = 0")
	}
}

// publishAgain is how long a replica takes to publish its results again.
const publishAgain = 500 * time.Millisecond

// forgottenResultsArePublishedAgain: a store that has lost its memory shows that by its epoch, and gives no lease until every
// replica has had the time to publish its results again.
func forgottenResultsArePublishedAgain(t *testing.T, s Store) {
	if s.Forget == nil {
		t.Fatal("a store that can be out must be able to forget")
	}
	all := s.start(t, 2)
	all[0].publish(t, one, "", 2, "sealed")
	if all[0].Hesitate != nil { // on a busy machine it would be too late
		all[0].Hesitate(true)
	}
	epochs := []uint64{all[0].Refreshes.Epoch(), all[1].Refreshes.Epoch()}
	s.Forget(t)
	var claimed sync.WaitGroup
	claimed.Go(func() {
		if got := all[1].claim(t, one, 1, lease); string(got.Sealed) != "sealed" {
			t.Errorf("claimed %+v in a store that forgot", got)
		}
	})
	for i, r := range all {
		eventually(t, "the epoch has changed", func() bool { return r.Refreshes.Epoch() != epochs[i] })
	}
	waitUntil(t, time.Now().Add(publishAgain))
	all[0].publish(t, one, "", 2, "sealed")
	if all[0].Hesitate != nil {
		all[0].Hesitate(false)
	}
	claimed.Wait()
}

// revocationInAnOutage: a revocation counts at once where it was made, and reaches the others when the store is back.
func revocationInAnOutage(t *testing.T, s Store) {
	all := s.start(t, 2)
	s.Break(t, all...)
	all[0].revoke(t, ofUser("user"))
	if !all[0].deniesUser("user") {
		t.Error("a revocation must count at once where it was made")
	}
	s.Mend(t, all...)
	eventually(t, "the user is denied by the other replica", func() bool { return all[1].deniesUser("user") })
}

// denyListHealsFromReplicas: when the store loses its memory, what any replica knows is soon known to all again.
func denyListHealsFromReplicas(t *testing.T, s Store) {
	all := s.start(t, 2)
	all[0].revoke(t, ofUser("user"))
	eventually(t, "the user is denied by the other replica", func() bool { return all[1].deniesUser("user") })
	all[0].Crash()
	s.Forget(t)
	late := s.Start(t)
	eventually(t, "the user is denied by a replica that starts later", func() bool { return late.deniesUser("user") })
	late.revoke(t, ofUser("another"))
	eventually(t, "revocations still reach the others", func() bool { return all[1].deniesUser("another") })
}

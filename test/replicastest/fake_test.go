package replicastest_test

import (
	"testing"

	"cognito-token-handler/test/replicastest"
)

// TestFake: the model-based test of refreshing says something about a real store only if the fake behaves as one.
func TestFake(t *testing.T) {
	replicastest.Run(t, func(*testing.T) replicastest.Store {
		fake := replicastest.NewFake()
		return replicastest.Store{
			SyntheticTime: true,
			Start: func(*testing.T) *replicastest.Replica {
				return &replicastest.Replica{Refreshes: fake, Crash: func() {}}
			},
			Break:  func(*testing.T, ...*replicastest.Replica) { fake.SetOutage(true, false) },
			Mend:   func(*testing.T, ...*replicastest.Replica) { fake.SetOutage(false, false) },
			Forget: func(*testing.T) { fake.Forget() },
		}
	})
}

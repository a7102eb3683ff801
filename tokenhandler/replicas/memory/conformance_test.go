package memory_test

import (
	"context"
	"testing"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
)

// denyList is a list as the suite uses it.
type denyList struct{ *memory.List }

func (d denyList) Revoke(_ context.Context, revocation replicas.Revocation) error {
	_, err := d.Add(d.Cover(revocation, false))
	return err
}

func (d denyList) Lift(ctx context.Context, kind replicas.Kind, name string) (found bool, err error) {
	return d.List.Lift(ctx, kind, name, d.Revoke)
}

func TestConformance(t *testing.T) {
	replicastest.Run(t, func(*testing.T) replicastest.Store {
		list, shared := denyList{memory.New(time.Now)}, memory.NewMaps(time.Now, 1000)
		return replicastest.Store{
			Alone: true, SyntheticTime: true,
			Start: func(*testing.T) *replicastest.Replica {
				return &replicastest.Replica{DenyList: list, Maps: shared, Crash: func() {}}
			},
		}
	})
}

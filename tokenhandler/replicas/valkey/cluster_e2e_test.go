//go:build e2e

package valkey_test

import (
	"testing"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/replicastest"
)

const denied = "{tokenhandler}:denied"

func serveCluster(t *testing.T) *redislocal.Cluster {
	t.Helper()
	cluster, err := redislocal.StartCluster(t.Context(), 3, redislocal.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// owner returns the node of the cluster that has the keys of this package, and one that does not.
func owner(t *testing.T, cluster *redislocal.Cluster) (owner, another *redislocal.Server) {
	t.Helper()
	owner, err := cluster.Owner(t.Context(), denied)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range cluster.Nodes {
		if node != owner {
			return owner, node
		}
	}
	t.Fatal("the cluster has one node")
	return nil, nil
}

// TestConformanceOfACluster breaks the node that has the keys; the replicas have the address of another one.
func TestConformanceOfACluster(t *testing.T) {
	replicastest.Run(t, func(t *testing.T) replicastest.Store {
		t.Helper()
		cluster := serveCluster(t)
		server, seed := owner(t, cluster)
		return conformingStore(server, seed.URL()+"?cluster=true")
	})
}

// TestSlotMovesToAnotherNode: resharding moves the keys to a node that the replicas have never used.
func TestSlotMovesToAnotherNode(t *testing.T) {
	t.Parallel()
	cluster := serveCluster(t)
	from, to := owner(t, cluster)
	stores := settled(t, cluster.URL(), 2)
	revoke(t, stores[0], subject("early"))
	eventually(t, "the entry is there", func() bool { return stores[1].denies("early") })
	held := claim(t, stores[0], 5)
	epoch := stores[1].Epoch()
	if err := cluster.Move(t.Context(), denied, to); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the move is noticed", func() bool { return stores[1].Epoch() != epoch && stores[1].Ready() == nil })
	from.Stop() // it has nothing that is needed
	publish(t, stores[0], held.Lease, 6)
	if got := claim(t, stores[1], 5); string(got.Sealed) != "sealed" {
		t.Errorf("claimed %+v", got)
	}
	revoke(t, stores[1], subject("late"))
	eventually(t, "the entry is there", func() bool { return stores[0].denies("late") })
	if third := ready(t, to.URL()+"?cluster=true", 1)[0]; !third.denies("early") || !third.denies("late") {
		t.Error("a new replica does not know the entries")
	}
}

// TestOtherNodesMayBeDown: an outage of a node that has none of the keys is none of the store.
func TestOtherNodesMayBeDown(t *testing.T) {
	t.Parallel()
	cluster := serveCluster(t)
	server, another := owner(t, cluster)
	stores := ready(t, server.URL()+"?cluster=true", 2)
	another.Stop()
	revoke(t, stores[0], subject("user"))
	eventually(t, "the entry is there", func() bool { return stores[1].denies("user") })
	isBack(t, stores)
}

// TestClusterWithoutParameter: without cluster=true the store says that the server is one of a cluster.
func TestClusterWithoutParameter(t *testing.T) {
	t.Parallel()
	_, another := owner(t, serveCluster(t))
	r := start(t, another.URL())
	eventually(t, "the store says why", func() bool {
		return r.Ready().Error() == "using the shared store: the server is one of a cluster and does not have these keys"
	})
}

// TestLeastPermissionsOfACluster: the permissions that config/deploy names.
func TestLeastPermissionsOfACluster(t *testing.T) {
	t.Parallel()
	cluster := serveCluster(t)
	for _, node := range cluster.Nodes {
		words := append([]string{"ACL", "SETUSER", "app", "on", ">secret"}, permissions()...)
		if got, err := node.Command(t.Context(), append(words, "+cluster|slots", "+cluster|shards")...); err != nil || got != "OK" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	stores := settled(t, "redis://app:secret@"+cluster.Nodes[0].Addr()+"?cluster=true", 2)
	revoke(t, stores[0], subject("user"))
	isBack(t, stores)
}

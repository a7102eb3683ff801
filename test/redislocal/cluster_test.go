//go:build e2e

package redislocal_test

import (
	"strings"
	"testing"

	"cognito-token-handler/test/redislocal"
)

func TestCluster(t *testing.T) {
	cluster, err := redislocal.StartCluster(t.Context(), 3, redislocal.Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	owner, err := cluster.Owner(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := owner.Command(t.Context(), "SET", "a", "1"); err != nil || got != "OK" {
		t.Fatalf("SET = %q, %v", got, err)
	}
	for _, node := range cluster.Nodes {
		if got, err := node.Command(t.Context(), "GET", "a"); err != nil || (node == owner) == strings.HasPrefix(got, "MOVED") {
			t.Errorf("GET = %q, %v at the owner: %t", got, err, node == owner)
		}
	}
	next := cluster.Nodes[0]
	if next == owner {
		next = cluster.Nodes[1]
	}
	if err := cluster.Move(t.Context(), "a", next); err != nil {
		t.Fatal(err)
	}
	if got, err := next.Command(t.Context(), "GET", "a"); err != nil || got != "1" {
		t.Errorf("GET = %q, %v after the slot was moved", got, err)
	}
}

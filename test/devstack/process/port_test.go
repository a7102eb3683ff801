package process_test

import (
	"testing"

	"cognito-token-handler/test/devstack/process"
)

// TestFreePortIsNoOtherChilds: the system chooses among some 28,000, so that of this
// many some would come twice.
func TestFreePortIsNoOtherChilds(t *testing.T) {
	seen := make(map[int]bool)
	for range 500 {
		port, err := process.FreePort()
		if err != nil || seen[port] {
			t.Fatalf("port %d, %v", port, err)
		}
		seen[port] = true
	}
}

func TestChildCanListenOnFreePort(t *testing.T) {
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a child may be started again
		listener, err := process.Listen(port)
		if err != nil {
			t.Fatal(err)
		}
		_ = listener.Close()
	}
	if process.Taken(port) {
		t.Error("a port that nobody listens on counts as taken")
	}
}

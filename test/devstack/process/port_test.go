package process_test

import (
	"testing"

	"cognito-token-handler/test/devstack/process"
)

// TestFreePortIsNoOtherChilds: the system chooses among some 28,000, so that of this
// many some would come twice.
func TestFreePortIsNoOtherChilds(t *testing.T) {
	seen := make(map[int]bool)
	for range 2000 {
		port, err := process.FreePort()
		if err != nil || seen[port] {
			t.Fatalf("port %d, %v", port, err)
		}
		seen[port] = true
	}
}

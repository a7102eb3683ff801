package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestProgramContainsItsLibraries checks that the service uses its libraries for the
// security-critical work and does not bypass them. The linker leaves out functions
// that nothing calls, so a function that is in the program is reachable from main.
func TestProgramContainsItsLibraries(t *testing.T) {
	t.Parallel()
	symbols := symbolsOf(t)
	for _, want := range []string{
		// Every cookie is read and written through gorilla sessions.
		"github.com/gorilla/sessions.(*Registry).Get",
		"github.com/gorilla/sessions.(*Session).Save",
		// ID tokens are verified by go-oidc, codes are exchanged by x/oauth2.
		"github.com/coreos/go-oidc/v3/oidc.(*IDTokenVerifier).Verify",
		"golang.org/x/oauth2.(*Config).Exchange",
		// Uploads are signed by the AWS SDK, metrics are served by client_golang.
		"github.com/aws/aws-sdk-go-v2/service/s3.(*PresignClient).PresignPutObject",
		"github.com/prometheus/client_golang/prometheus/promhttp.HandlerForTransactional",
	} {
		if !symbols[want] {
			t.Errorf("the program does not contain %s", want)
		}
	}
}

// symbolsOf lists the symbols of the program.
func symbolsOf(t *testing.T) map[string]bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "tool", "nm", program(t)).Output()
	if err != nil {
		t.Fatalf("listing the symbols of the program: %v", err)
	}
	symbols := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		// "address type name"; an undefined symbol has no address.
		if fields := strings.Fields(line); len(fields) >= 3 {
			symbols[fields[2]] = true
		}
	}
	if !symbols["main.main"] {
		t.Fatalf("%d symbols were listed, and main.main is not one of them", len(symbols))
	}
	return symbols
}

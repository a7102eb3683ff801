package cognito_test

import (
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
)

// capture logs in once and returns the tokens as they were sent.
func (p *party) capture() (id, access string) {
	p.t.Helper()
	p.pool.Break(cognitotest.TokenCode, cognitotest.EditJSON("capture", func(body map[string]any) {
		id, _ = body["id_token"].(string)
		access, _ = body["access_token"].(string)
	}), 1)
	_, _ = p.login() // most are faulty
	return id, access
}

// FuzzVerify changes the tokens of faulty answers. No pair of them may pass the
// checks of a login, cause a panic or be quoted in an error. The ID token of a pair
// names its access token (at_hash), so halves of two seeds make no valid pair.
func FuzzVerify(f *testing.F) {
	p := connectedParty(f, cognitotest.Options{})
	sub := p.pool.User("demo").Sub
	id, access := p.capture()
	if err := p.VerifyID(f.Context(), id, access, testNonce); err != nil {
		f.Fatalf("the harness refuses a good ID token: %v", err)
	}
	if err := p.VerifyAccess(f.Context(), access, sub); err != nil {
		f.Fatalf("the harness refuses a good access token: %v", err)
	}
	seeds := 0
	for _, fault := range append(enough(f, cognitotest.IDTokenFaults, 28), enough(f, cognitotest.AccessTokenFaults, 13)...) {
		if fault.MayAccept {
			continue
		}
		fault.Apply(p.pool)
		badID, badAccess := p.capture()
		f.Add(badID, badAccess)
		p.pool.Heal()
		seeds++
	}
	if seeds < 40 {
		f.Fatalf("%d seeds, want at least 40", seeds)
	}
	for _, s := range []string{"", "..", "{}", `{"payload":"e30","signatures":[{}]}`, "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30.", id + "."} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, id, access string) {
		idErr := p.VerifyID(t.Context(), id, access, testNonce)
		accessErr := p.VerifyAccess(t.Context(), access, sub)
		if idErr == nil && accessErr == nil {
			t.Errorf("verified: %q and %q", id, access)
		}
		for _, err := range []error{idErr, accessErr} {
			if err != nil && (strings.Contains(err.Error(), "eyJ") || strings.Contains(err.Error(), cognitotest.Canary)) {
				t.Errorf("quoted: %v", err)
			}
		}
	})
}

package cognito_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// TestDescriptionsAreLogged checks that errors quote error_description: shortened,
// escaped, and without anything that could be a token.
func TestDescriptionsAreLogged(t *testing.T) {
	for text, want := range map[string]string{
		"User is not enabled.":               `invalid_grant, "User is not enabled."`,
		"":                                   `(status 400, invalid_grant, request id`,
		"two\nlines \x1b[31m and \"quotes\"": `"two\nlines \x1b[31m and \"quotes\""`,
		"token eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl is not known": `"token [removed].e30.c2lnbmF0dXJl is not known"`,
		"code 4f1c2d6e-8c1b-4b0e-9a57-0c0f6f1e2d3a has expired":    `"code [removed] has expired"`,
		"refresh token " + strings.Repeat("Ab1", 20) + "==":        `"refresh token [removed]"`,
		"für " + strings.Repeat("ü ", 300):                         `"f\u00fcr \u00fc `,
		"fü " + strings.Repeat("ü ", 300):                          `\u00fc \u2026"`, // the end is no part of a letter
	} {
		p := connectedParty(t, cognitotest.Options{})
		tokens := p.mustLogin()
		body, err := json.Marshal(map[string]string{"error": "invalid_grant", "error_description": text})
		if err != nil {
			t.Fatal(err)
		}
		describe := cognitotest.Text("described", http.StatusBadRequest, "application/json", string(body))
		p.pool.Break(cognitotest.TokenAny, describe, 0)
		p.pool.Break(cognitotest.Revoke, describe, 0)
		_, refresh := p.Refresh(t.Context(), tokens)
		_, login := p.login()
		for _, err := range []error{refresh, login, p.Revoke(t.Context(), secret.New("some-token"))} {
			if failed := p.failure(err, provider.ErrRejected); !strings.Contains(failed.Error(), want) || len(failed.Error()) > 1000 {
				t.Errorf("%s, want %s", failed, want)
			}
		}
	}
}

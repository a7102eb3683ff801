package cognito_test

import (
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
)

// TestLoginError checks what descriptions mean that users of Cognito have reported.
func TestLoginError(t *testing.T) {
	for description, want := range map[string]provider.LoginError{
		"":                      {},
		"User is not enabled. ": {Kind: provider.UserDisabled},
		"User is disabled.":     {Kind: provider.UserDisabled},
		"Already found an entry for username Google_1234567890 ": {Kind: provider.AccountLinked},
		"PreSignUp failed with error Ask the operator.. ":        {Kind: provider.TriggerRefused, Message: "Ask the operator."},
		"PreSignUp failed with error ":                           {Kind: provider.TriggerRefused},
		"PreAuthentication failed with error No.":                {Kind: provider.TriggerRefused, Message: "No"},
		"PostConfirmation failed with error Task timed out.":     {Kind: provider.TriggerRefused},
		"LoginWithAmazon Error - 400 invalid_request":            {},
		"<b>PreSignUp</b> failed with error x":                   {},
		"said: User is not enabled":                              {},
	} {
		if got := cognito.LoginError(description); got != want {
			t.Errorf("%q: %+v, want %+v", description, got, want)
		}
	}
}

// TestIssuerOfCallbacks checks that callbacks must have iss if the provider's document
// says that they do (RFC 9207 §2.4), and that a document that says it wrongly is read.
func TestIssuerOfCallbacks(t *testing.T) {
	for name, c := range map[string]struct {
		document any
		without  bool // whether a callback without iss is accepted
	}{
		"not supported": {nil, true},
		"supported":     {true, false},
		"false":         {false, true},
		"no boolean":    {"true", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, cognitotest.Options{})
			p.pool.Break(cognitotest.Discovery, cognitotest.EditJSON("iss", func(document map[string]any) {
				if c.document != nil {
					document["authorization_response_iss_parameter_supported"] = c.document
				}
			}), 0)
			if !p.AcceptsIssuer("", false) {
				t.Error("refused while nothing is known")
			}
			if err := p.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := p.AcceptsIssuer("", false); got != c.without {
				t.Errorf("without iss: %v, want %v", got, c.without)
			}
			if !p.AcceptsIssuer(p.pool.Issuer(), true) || p.AcceptsIssuer("", true) || p.AcceptsIssuer("https://evil.example", true) {
				t.Error("an iss that is there is not compared")
			}
		})
	}
}

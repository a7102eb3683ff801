package doctor_test

import (
	"net/http"
	"net/url"
	"testing"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/test/cognitotest"
)

// TestClientSecrets checks what the answer to a made-up code tells.
func TestClientSecrets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		outage cognitotest.Outage
		level  doctor.Level
		what   string
		cure   string
	}{
		{"invalid_client", cognitotest.OAuthError("invalid_client"), doctor.Fault, "is refused: redeeming the code: ", "Copy both again"},
		{"unauthorized_client", cognitotest.OAuthError("unauthorized_client"), doctor.Fault, "may not redeem codes", "/auth/callback exactly"},
		{"another error", cognitotest.OAuthError("invalid_request"), doctor.Warning, "unexpected", "Log in once"},
		{"html", cognitotest.Text("html", http.StatusOK, "text/html", cognitotest.Canary), doctor.Warning, "unexpected", "Log in once"},
		{"failing", cognitotest.Text("500", http.StatusInternalServerError, "text/html", cognitotest.Canary), doctor.Fault, "could not be tried", "status"},
		{"reset", cognitotest.Reset(), doctor.Fault, "(reset)", "its domain"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := newPool(t)
			pool.Break(cognitotest.TokenAny, tt.outage, 0)
			want(t, setup{issuer: pool.Issuer()}.examine(t), doctor.AreaClient, tt.level, tt.what, tt.cure)
		})
	}
}

func TestEachClientSecretIsTried(t *testing.T) {
	pool := newPool(t)
	r := setup{issuer: pool.Issuer(), secret: "placeholder"}
	cfg := r.load(t)
	cfg.Provider.ClientSecret = append(secrets("planted-secret-of-another-client"), secrets(cognitotest.DefaultSecret)...)
	report := read(t, doctor.Examine(t.Context(), doctorConfig(cfg)))
	want(t, report, doctor.AreaClient, doctor.Fault, "The client secret number 1 or provider.client_id is refused", "Copy")
	want(t, report, doctor.AreaClient, doctor.Good, "The client secret number 2 is accepted", "")
}

// TestURLsThatAreNotRegistered checks the four URLs: two that every user needs, and two
// that only some do.
func TestURLsThatAreNotRegistered(t *testing.T) {
	pool := cognitotest.New(t, cognitotest.Options{LoginForm: true})
	r := setup{issuer: pool.Issuer()}.examine(t)
	want(t, r, doctor.AreaClient, doctor.Fault, "The callback URL "+publicURL+"/auth/callback is not registered, or provider.client_id is not known: it answers redirect_mismatch", "exactly as written here")
	want(t, r, doctor.AreaClient, doctor.Warning, "/auth/passkeys/done is not registered", "allowed callback URL")
	want(t, r, doctor.AreaClient, doctor.Fault, "The sign-out URL "+publicURL+"/ is not registered", "allowed sign-out URL")
	want(t, r, doctor.AreaClient, doctor.Warning, "Only logouts with return_to need it", "allowed sign-out URL")
}

func TestScopesThatAreNotAllowed(t *testing.T) {
	pool := newPool(t)
	r := setup{issuer: pool.Issuer(), provider: ", scopes: [openid, orders/read]"}.examine(t)
	want(t, r, doctor.AreaClient, doctor.Fault, "is registered, but the provider refuses the login: it answers invalid_scope", "provider.scopes")
}

// TestProviderThatRedirectsBack checks that an error that comes to the callback URL is
// told, with the text of the provider quoted.
func TestProviderThatRedirectsBack(t *testing.T) {
	pool := newPool(t)
	pool.OnCallback(func(query url.Values) {
		query.Set("error", "<script>")
		query.Set("error_description", "\x1b]0;title\x07\u202e")
	})
	r := setup{issuer: pool.Issuer(), provider: ", scopes: [openid, orders/read]"}.examine(t)
	want(t, r, doctor.AreaClient, doctor.Fault, `it answers an unknown error, "\x1b]0;title\a\u202e"`, "provider.scopes")
}

func TestLoginPageThatFails(t *testing.T) {
	for _, tt := range []struct {
		outage cognitotest.Outage
		what   string
	}{
		{cognitotest.Text("400", http.StatusBadRequest, "text/html", cognitotest.Canary), "is not registered, or provider.client_id is not known: it answers 400"},
		{cognitotest.Text("502", http.StatusBadGateway, "text/html", cognitotest.Canary), "login page answers 502"},
		{cognitotest.Reset(), "login page is not reached (reset)"},
	} {
		pool := newPool(t)
		pool.Break(cognitotest.Authorize, tt.outage, 0)
		want(t, setup{issuer: pool.Issuer()}.examine(t), doctor.AreaClient, doctor.Fault, tt.what, "")
	}
}

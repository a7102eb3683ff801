package cognitotest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitotest"
)

// TestLogoutTokens checks that go-oidc accepts a valid logout token for a user, a
// session, or both.
func TestLogoutTokens(t *testing.T) {
	p := newParty(t, cognitotest.Options{OpenID: true})
	for _, c := range []struct{ sub, sid string }{{"some-sub", ""}, {"", "some-sid"}, {"some-sub", "some-sid"}} {
		token, err := p.verifier.VerifyLogout(t.Context(), p.srv.LogoutToken(c.sub, c.sid))
		if err != nil || token.Subject != c.sub || token.SessionID != c.sid {
			t.Errorf("%v: %+v, %v", c, token, err)
		}
	}
	if len(cognitotest.LogoutFaults) < 30 {
		t.Errorf("%d faults", len(cognitotest.LogoutFaults))
	}
}

// TestEndSession checks that only registered URLs and ID tokens of the client are
// accepted, and that the browser's session ends.
func TestEndSession(t *testing.T) {
	p := newParty(t, cognitotest.Options{OpenID: true, LoginForm: true})
	var discovered struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := p.provider.Claims(&discovered); err != nil {
		t.Fatal(err)
	}
	verifier := oauth2.GenerateVerifier()
	authURL := p.authURL(verifier)
	loginURL := strings.Replace(authURL, "/oauth2/authorize", "/login", 1)
	browser := postForm(t, loginURL, url.Values{"username": {"demo"}, "password": {cognitotest.DefaultPassword}})
	_, q := location(t, browser)
	token, err := p.oauth.Exchange(t.Context(), q.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if sid, _ := claims(t, idToken(t, token))["sid"].(string); sid == "" {
		t.Error("no sid in the ID token")
	}
	end := func(name, value string) answer {
		q := url.Values{"client_id": {p.srv.ClientID()}, "post_logout_redirect_uri": {logoutURL}, "state": {"some-state"}}
		q.Set(name, value)
		return get(t, discovered.EndSession+"?"+q.Encode(), browser.cookies...)
	}
	for name, value := range map[string]string{"post_logout_redirect_uri": logoutURL + "x", "client_id": "another", "id_token_hint": "a.b.c"} {
		if got := end(name, value); got.status != http.StatusBadRequest {
			t.Errorf("another %s: %d", name, got.status)
		}
	}
	if where, _ := location(t, get(t, authURL, browser.cookies...)); where != callbackURL {
		t.Errorf("with the session sent to %s", where)
	}
	p.clock.Advance(2 * time.Hour) // an ID token that has expired is a valid hint
	if where, q := location(t, end("id_token_hint", idToken(t, token))); where != logoutURL || q.Get("state") != "some-state" {
		t.Errorf("sent to %s with %v", where, q)
	}
	if where, _ := location(t, get(t, authURL, browser.cookies...)); where != "/login" {
		t.Errorf("after the logout sent to %s", where)
	}
}

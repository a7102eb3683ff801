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

// location returns where the answer sends the browser, split at the query.
func location(t *testing.T, a answer) (string, url.Values) {
	t.Helper()
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusFound {
		t.Fatalf("%d to %q: %s", a.status, a.header.Get("Location"), a.body)
	}
	q := u.Query()
	u.RawQuery = ""
	return u.String(), q
}

func TestAuthorizeErrors(t *testing.T) {
	opt := oauth2.SetAuthURLParam
	for _, c := range []struct {
		name   string
		change []oauth2.AuthCodeOption
		want   string // error at the callback, "" for the error page
	}{
		{"response_type", []oauth2.AuthCodeOption{opt("response_type", "")}, "invalid_request"},
		{"plain PKCE", []oauth2.AuthCodeOption{opt("code_challenge_method", "plain")}, "invalid_request"},
		{"challenge without method", []oauth2.AuthCodeOption{opt("code_challenge_method", "")}, "invalid_request"},
		{"unknown scope", []oauth2.AuthCodeOption{opt("scope", "openid offline_access")}, "invalid_scope"},
		{"prompt=none without a session", []oauth2.AuthCodeOption{opt("prompt", "none")}, "login_required"},
		{"another client", []oauth2.AuthCodeOption{opt("client_id", "another")}, ""},
		{"redirect_uri with a slash more", []oauth2.AuthCodeOption{opt("redirect_uri", callbackURL+"/")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParty(t, cognitotest.Options{})
			where, q := location(t, get(t, p.authURL(oauth2.GenerateVerifier(), c.change...)))
			if c.want == "" {
				if where != "/error" || q.Get("error") != "redirect_mismatch" {
					t.Errorf("sent to %s with %v", where, q)
				}
				return
			}
			if where != callbackURL || q.Get("error") != c.want || q.Has("code") {
				t.Errorf("sent to %s with %v", where, q)
			}
			// Cognito returns the state with login_required only.
			if q.Has("state") != (c.want == "login_required") {
				t.Errorf("state %q", q.Get("state"))
			}
		})
	}
}

func TestSignUpAndForgotPasswordEndInTheSameCallback(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	for _, path := range []string{"/signup", "/forgotPassword", "/login"} {
		q := p.callback(strings.Replace(p.authURL(oauth2.GenerateVerifier()), "/oauth2/authorize", path, 1))
		if q.Get("code") == "" || q.Get("state") != testState {
			t.Errorf("%s came back with %v", path, q)
		}
	}
}

func TestLoginForm(t *testing.T) {
	p := newParty(t, cognitotest.Options{LoginForm: true})
	authURL := p.authURL(oauth2.GenerateVerifier())
	where, _ := location(t, get(t, authURL))
	if where != "/login" {
		t.Fatalf("sent to %s", where)
	}
	loginURL := strings.Replace(authURL, "/oauth2/authorize", "/login", 1)
	if page := get(t, loginURL); page.status != http.StatusOK || !strings.Contains(page.body, `name="password"`) {
		t.Fatalf("%d: %s", page.status, page.body)
	}
	if res := postForm(t, loginURL, url.Values{"username": {"demo"}, "password": {"wrong"}}); !strings.Contains(res.body, "Incorrect username or password") {
		t.Errorf("%d: %s", res.status, res.body)
	}
	res := postForm(t, loginURL, url.Values{"username": {"demo"}, "password": {cognitotest.DefaultPassword}})
	where, q := location(t, res)
	if where != callbackURL || q.Get("code") == "" {
		t.Fatalf("sent to %s with %v", where, q)
	}
	// The hosted session logs in without the form, for an hour.
	if where, _ = location(t, get(t, authURL, res.cookies...)); where != callbackURL {
		t.Errorf("with the cookie sent to %s", where)
	}
	prompt := oauth2.SetAuthURLParam("prompt", "login")
	if where, _ = location(t, get(t, p.authURL(oauth2.GenerateVerifier(), prompt), res.cookies...)); where != "/login" {
		t.Errorf("prompt=login sent to %s", where)
	}
	p.clock.Advance(time.Hour)
	if where, _ = location(t, get(t, authURL, res.cookies...)); where != "/login" {
		t.Errorf("after an hour sent to %s", where)
	}
}

func postForm(t *testing.T, target string, form url.Values, user ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if len(user) == 2 {
		req.SetBasicAuth(user[0], user[1])
	}
	return send(t, req)
}

func TestOnCallback(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	p.srv.OnCallback(func(q url.Values) {
		q.Del("code")
		q.Del("state")
		q.Set("error", "invalid_request")
	})
	if q := p.callback(p.authURL(oauth2.GenerateVerifier())); q.Get("error") != "invalid_request" || len(q) != 1 {
		t.Errorf("came back with %v", q)
	}
	p.srv.OnCallback(nil)
	p.mustLogin()
}

func TestUsers(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	p.srv.AddUser(cognitotest.User{Username: "second"})
	first := claims(t, p.mustLogin().AccessToken)
	p.srv.LoginAs("second")
	second := claims(t, p.mustLogin().AccessToken)
	if first["sub"] == second["sub"] || second["username"] != "second" || second["sub"] != p.srv.User("second").Sub {
		t.Errorf("first %v, second %v", first, second)
	}
	p.srv.DisableUser("second")
	if q := p.callback(p.authURL(oauth2.GenerateVerifier())); q.Get("error") != "invalid_request" {
		t.Errorf("a disabled user came back with %v", q)
	}
}

func TestLogout(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	id := p.srv.ClientID()
	for _, c := range []struct {
		name string
		q    url.Values
		want string // redirect target, "" for an error page
		text string
	}{
		{"registered", url.Values{"client_id": {id}, "logout_uri": {logoutURL}}, logoutURL, ""},
		{"logout_uri wins", url.Values{"client_id": {id}, "logout_uri": {logoutURL}, "redirect_uri": {callbackURL}}, logoutURL, ""},
		{"log in again", url.Values{"client_id": {id}, "redirect_uri": {callbackURL}, "response_type": {"code"}}, "/login", ""},
		{"without the slash", url.Values{"client_id": {id}, "logout_uri": {strings.TrimSuffix(logoutURL, "/")}}, "", "requested page"},
		{"another client", url.Values{"client_id": {"another"}, "logout_uri": {logoutURL}}, "", "requested page"},
		{"no client", url.Values{"logout_uri": {logoutURL}}, "", "'client_id' is not present"},
		{
			"as OpenID has it",
			url.Values{"client_id": {id}, "id_token_hint": {"x"}, "post_logout_redirect_uri": {logoutURL}},
			"", "Required String parameter 'redirect_uri' is not present",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := get(t, p.srv.URL+"/logout?"+c.q.Encode())
			if c.want == "" {
				if res.status != http.StatusBadRequest || !strings.Contains(res.body, strings.ReplaceAll(c.text, "'", "&#39;")) {
					t.Errorf("%d: %s", res.status, res.body)
				}
				return
			}
			if where, _ := location(t, res); where != c.want {
				t.Errorf("sent to %s", where)
			}
		})
	}
}

func TestLogoutEndsTheHostedSession(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	res := get(t, p.authURL(oauth2.GenerateVerifier()))
	none := p.authURL(oauth2.GenerateVerifier(), oauth2.SetAuthURLParam("prompt", "none"))
	if _, q := location(t, get(t, none, res.cookies...)); q.Get("code") == "" {
		t.Fatalf("prompt=none with a session came back with %v", q)
	}
	get(t, p.srv.URL+"/logout?client_id="+p.srv.ClientID()+"&logout_uri="+url.QueryEscape(logoutURL), res.cookies...)
	if _, q := location(t, get(t, none, res.cookies...)); q.Get("error") != "login_required" {
		t.Errorf("prompt=none after the logout came back with %v", q)
	}
}

func TestPasskeys(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	target := p.srv.URL + "/passkeys/add?client_id=" + p.srv.ClientID() + "&redirect_uri=" + url.QueryEscape(callbackURL)
	if where, _ := location(t, get(t, target)); where != "/login" {
		t.Errorf("without a session sent to %s", where)
	}
	res := get(t, p.authURL(oauth2.GenerateVerifier()))
	if where, q := location(t, get(t, target, res.cookies...)); where != callbackURL || len(q) != 0 {
		t.Errorf("sent to %s with %v", where, q)
	}
}

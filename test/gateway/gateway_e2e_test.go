//go:build e2e

package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const (
	sessionCookie = "__Host-Http-session"
	secondCookie  = "__Host-Http-session.1"
	activeCookie  = "__Host-Http-active"
)

// usual are tokens of the sizes that Cognito's have.
func usual() cognitotest.Options {
	return cognitotest.Options{IDTokenSize: 1517, AccessTokenSize: 1175, RefreshTokenSize: 1580, Rotation: true}
}

// wantRefusal checks an answer that did not come from the API.
func wantRefusal(t *testing.T, g gateway, answer *useragent.Response, status int, code string) {
	t.Helper()
	if answer.Status != status {
		t.Errorf("%d %s, want %d %s", answer.Status, answer.Body, status, code)
	}
	g.refused(t, answer, status, code)
	if answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Authorization") != "" || answer.Header.Get("X-Auth-Subject") != "" {
		t.Errorf("the browser is shown %v", answer.Header)
	}
}

// TestSwapsTheCookieForTheToken: from login to API call, with nginx's default
// buffers for the callback's answer (4 KB).
func TestSwapsTheCookieForTheToken(t *testing.T) { each(t, swapsTheCookieForTheToken) }

func swapsTheCookieForTheToken(t *testing.T, g gateway) {
	w := newWorld(t, g, usual())
	ua := w.login()
	res := ua.Fetch(http.MethodPost, "/api/notes?group=admins", "body", useragent.FetchOptions{Header: forged()})
	if res.Status != http.StatusOK || string(res.Body) != "POST /api/notes?group=admins body" {
		t.Fatalf("%d %s", res.Status, res.Body)
	}
	got, _ := w.api.seen()
	token := strings.TrimPrefix(got.Get("Authorization"), "Bearer ")
	if len(got["Authorization"]) != 1 || len(strings.Split(token, ".")) != 3 || len(token) < 1000 {
		t.Errorf("the API got no token: %v", got["Authorization"])
	}
	var session struct{ User struct{ Sub string } }
	if err := ua.Fetch(http.MethodGet, "/auth/session", "").JSON(&session); err != nil || session.User.Sub == "" || got.Get("X-Auth-Subject") != session.User.Sub {
		t.Errorf("the API was told of %q, not %q: %v", got.Get("X-Auth-Subject"), session.User.Sub, err)
	}
	if got.Get("X-Auth-Groups") != "readers,writers" || len(got["X-Auth-Subject"]) != 1 || len(got["X-Auth-Groups"]) != 1 || got.Get("X-Auth-Request-Secret") == verifySecret {
		t.Errorf("the API got %v", got)
	}
	for name := range got {
		if strings.Contains(name, "_") {
			t.Errorf("the API got %s", name)
		}
	}
	if got["Cookie"] != nil {
		t.Error("the API got the session cookie")
	}
	if strings.Contains(got.Get("X-Forwarded-For"), forgedAddress) {
		t.Error("the API got an address of the client's choice")
	}
	if res.Header.Get("Set-Cookie") != "" || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Authorization") != "" {
		t.Errorf("the browser got %v", res.Header)
	}
	for path, status := range map[string]int{"/api/refused": 401, "/api/broken": 500} {
		if res := ua.Fetch(http.MethodGet, path, ""); res.Status != status || string(res.Body) != "the API's own" {
			t.Errorf("%s: %d %s", path, res.Status, res.Body)
		}
	}
}

const forgedAddress = "203.0.113.9"

// forged are headers with which a client would be another user, or get past the
// question.
func forged() map[string]string {
	return map[string]string{
		"Authorization": "Bearer forged", "X-Auth-Request-Secret": "guess",
		"X-Auth-Subject": "root", "X-Auth-Groups": "admins",
		"X_Auth_Groups": "admins", "X_Auth-Groups": "admins", "X-Auth_Groups": "admins",
		"X_Auth_Subject": "root", "X_Auth-Subject": "root", "X-Auth_Subject": "root",
		"X-Forwarded-For": forgedAddress, "X-Forwarded-Uri": "/auth/login", "X-Forwarded-Method": "OPTIONS",
		"X-Original-Url": "/auth/login", "X-Original-Uri": "/auth/login", "X-Original-Method": "OPTIONS", "X-Rewrite-Url": "/auth/login",
	}
}

// TestShowsNoTokenToScripts: neither the endpoint nor a gateway's own way to it.
func TestShowsNoTokenToScripts(t *testing.T) { each(t, showsNoTokenToScripts) }

func showsNoTokenToScripts(t *testing.T, g gateway) {
	w := newWorld(t, g, usual())
	ua := w.login()
	paths := []string{"/auth/verify", "/auth/verify/", "/auth/verify/envoy", "/auth/verify/envoy/api/", "/auth//verify", "/auth/./verify", "/auth/%76erify", "/auth/x/../verify"}
	for _, path := range append(paths, g.own...) {
		for _, header := range []map[string]string{nil, {"X-Auth-Request-Secret": "guess"}, {"X-Auth-Request-Secret": verifySecret}} {
			res := ua.Fetch(http.MethodGet, path, "", useragent.FetchOptions{Header: header})
			if res.Status < 400 || res.Header.Get("Authorization") != "" || strings.Contains(string(res.Body), "eyJ") {
				t.Errorf("%s with %d headers: %d %v", path, len(header), res.Status, res.Header)
			}
		}
	}
	ua.Fetch(http.MethodGet, "/api/me", "")
	got, _ := w.api.seen()
	for _, seen := range ua.History() {
		for _, text := range append(headerText(seen.Header), string(seen.Body)) {
			if token := strings.TrimPrefix(got.Get("Authorization"), "Bearer "); strings.Contains(text, token) {
				t.Errorf("%s shows the browser the token", seen.URL)
			}
		}
	}
}

func headerText(h http.Header) []string {
	var all []string
	for _, values := range h {
		all = append(all, values...)
	}
	return all
}

func TestRefuses(t *testing.T) { each(t, refuses) }

func refuses(t *testing.T, g gateway) {
	w := newWorld(t, g, usual())
	for _, header := range []map[string]string{nil, forged()} {
		answer := w.browser().Fetch(http.MethodGet, "/api/me", "", useragent.FetchOptions{Header: header})
		wantRefusal(t, g, answer, http.StatusUnauthorized, "not_authenticated")
	}
	ua := w.login()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		wantRefusal(t, g, ua.FetchFrom("https://evil.example", method, appURL+"/api/me", "", useragent.FetchOptions{Mode: "no-cors"}), http.StatusForbidden, "cross_site_request")
	}
	if _, hits := w.api.seen(); hits != 0 {
		t.Errorf("the API got %d requests", hits)
	}
	if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
		t.Errorf("%d %s", res.Status, res.Body)
	}
	// A copy of a session that was ended elsewhere is cleared.
	thief := w.browser()
	for _, c := range ua.Cookies() {
		thief.SetCookie(c)
	}
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	wantRefusal(t, g, thief.Fetch(http.MethodGet, "/api/me", ""), http.StatusUnauthorized, "session_expired")
	for _, name := range []string{sessionCookie, activeCookie} {
		if _, there := thief.Cookie(name); there {
			t.Errorf("the dead session's %s is left", name)
		}
	}
}

// TestBringsTheRefreshedSession: also one that takes two cookies, for which
// nginx's example says to allow the callback a larger answer.
func TestBringsTheRefreshedSession(t *testing.T) { each(t, bringsTheRefreshedSession) }

func bringsTheRefreshedSession(t *testing.T, g gateway) {
	for name, c := range map[string]struct {
		access int
		edit   []place
		want   []string
	}{
		"one cookie":  {1175, nil, []string{sessionCookie}},
		"two cookies": {3300, g.twoCookies, []string{sessionCookie, secondCookie}},
	} {
		t.Run(name, func(t *testing.T) {
			pool := usual()
			pool.AccessTokenSize, pool.AccessTTL = c.access, 2*time.Second
			w := newWorld(t, g, pool, c.edit...)
			ua := w.login()
			before := map[string]string{}
			for _, name := range c.want {
				cookie, there := ua.Cookie(name)
				if !there {
					t.Fatalf("the login set no %s", name)
				}
				before[name] = cookie.Value
			}
			var session struct {
				Ends time.Time `json:"access_token_expires_at"`
			}
			if err := ua.Fetch(http.MethodGet, "/auth/session", "").JSON(&session); err != nil {
				t.Fatal(err)
			}
			select {
			case <-time.After(time.Until(session.Ends)):
			case <-t.Context().Done():
			}
			if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
				t.Fatalf("%d %s", res.Status, res.Body)
			}
			for _, name := range c.want {
				if cookie, _ := ua.Cookie(name); cookie.Value == before[name] || cookie.Value == "" {
					t.Errorf("%s is the old one", name)
				}
			}
			if rejected := ua.Rejected(); len(rejected) > 0 {
				t.Errorf("the browser refused %v", rejected)
			}
			if res := ua.Fetch(http.MethodGet, "/auth/session", ""); !strings.Contains(string(res.Body), `"authenticated":true`) {
				t.Errorf("%s", res.Body)
			}
		})
	}
}

// TestKeepsTheSessionInOutages of the provider and of the token handler.
func TestKeepsTheSessionInOutages(t *testing.T) { each(t, keepsTheSessionInOutages) }

func keepsTheSessionInOutages(t *testing.T, g gateway) {
	pool := usual()
	pool.AccessTTL = time.Second
	w := newWorld(t, g, pool)
	ua := w.login()
	w.pool.Break(cognitotest.TokenRefresh, cognitotest.Reset(), 0)
	deadline := time.After(testkit.Deadline)
	res := ua.Fetch(http.MethodGet, "/api/me", "")
	for res.Status == http.StatusOK { // until the token has ended
		select {
		case <-deadline:
			t.Fatal("the token never ends")
		case <-time.After(50 * time.Millisecond):
		}
		res = ua.Fetch(http.MethodGet, "/api/me", "")
	}
	wantRefusal(t, g, res, http.StatusServiceUnavailable, "provider_unavailable")
	w.handler.Stop(stopGrace)
	_, before := w.api.seen()
	away := ua.Fetch(http.MethodGet, "/api/me", "")
	if _, hits := w.api.seen(); away.Status != g.away || hits != before {
		t.Errorf("%d %s, and the API got %d requests", away.Status, away.Body, hits-before)
	}
	g.refused(t, away, g.away, "")
	if _, there := ua.Cookie(sessionCookie); !there {
		t.Error("the session is lost")
	}
}

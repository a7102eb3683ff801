package app_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// TestUpstreamGetsNoSessionCookies: neither the cookies of this service nor those of
// another app on the same host reach an API. The API could use them there. It gets
// all other cookies.
func TestUpstreamGetsNoSessionCookies(t *testing.T) {
	s := start(t, cognitotest.Options{})
	ua := s.login()
	for _, name := range []string{
		"__Host-Http-admin", "__Host-Http-admin.1", "__host-http-shop-active", "__HOST-HTTP-login-x",
		"session-8081", "session-8081.1", "active-8081", "login-8081-abc", "shop-session-8081", "theme", "__Host-theme", "lang-2",
	} {
		ua.SetCookie(useragent.Cookie{Name: name, Value: "v", Path: "/", Secure: true, HTTPOnly: true})
	}
	for _, path := range []string{"/api/me", "/open/x"} {
		if r := ua.Fetch(http.MethodGet, path, ""); r.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, r.Status, r.Body)
		}
		var names []string
		for _, c := range (&http.Request{Header: s.api.last()}).Cookies() {
			names = append(names, c.Name)
		}
		slices.Sort(names)
		if want := []string{"__Host-theme", "lang-2", "theme"}; !slices.Equal(names, want) {
			t.Errorf("%s: the API got the cookies %q, want %q", path, names, want)
		}
	}
}

// TestNamesOfCookiesByPublicURL: on this machine they have its port, and neither the prefix
// nor Secure. Everywhere else they have both, unless insecure_plain_http says otherwise.
func TestNamesOfCookiesByPublicURL(t *testing.T) {
	for _, c := range []struct {
		publicURL string
		environ   []string
		want      string
	}{
		{"https://app.example.com", nil, "__Host-Http-session __Host-Http-active __Host-Http-began __Host-Http-login-"},
		{"https://app.example.com:8443", []string{"TH_SESSION__COOKIE_NAME=shop"}, "__Host-Http-shop __Host-Http-shop-active __Host-Http-shop-began __Host-Http-shop-login-"},
		{"https://localhost:8443", nil, "__Host-Http-session __Host-Http-active __Host-Http-began __Host-Http-login-"},
		{"http://localhost:8080", nil, "session-8080 active-8080 began-8080 login-8080-"},
		{"http://localhost:3000", []string{"TH_SESSION__COOKIE_NAME=shop"}, "shop-session-3000 shop-active-3000 shop-began-3000 shop-login-3000-"},
		{"http://localhost:3000", []string{"TH_COOKIES__INSECURE_PLAIN_HTTP=true"}, "session-3000 active-3000 began-3000 login-3000-"},
		{"http://LOCALHOST", nil, "session-80 active-80 began-80 login-80-"},
		{"http://127.0.0.1:8080", nil, "session-8080 active-8080 began-8080 login-8080-"},
		{"http://[::1]:65535", nil, "session-65535 active-65535 began-65535 login-65535-"},
		{"http://app.test:8080", []string{"TH_COOKIES__INSECURE_PLAIN_HTTP=true"}, "session active began login-"},
	} {
		content := "public_url: " + c.publicURL + "\nprovider: {kind: oidc, issuer: https://login.example.com, client_id: app, client_secret: planted-secret}\n" +
			"session: {keys: [MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY=]}\n"
		cfg, err := config.Load([]byte(content), "test.yaml", c.environ, config.Machine{ReadFile: os.ReadFile})
		if err != nil {
			t.Fatal(err)
		}
		names := app.Cookies(cfg)
		if got := fmt.Sprint(names.Session, " ", names.Active, " ", names.Began, " ", names.Login); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.publicURL, c.environ, got, c.want)
		}
	}
}

// TestCookiesOfALogin: what a browser is given without the prefix goes without Secure too,
// which WebKit keeps at localhost.
func TestCookiesOfALogin(t *testing.T) {
	s := start(t, cognitotest.Options{})
	ua := s.login()
	for _, c := range ua.Cookies() {
		if testkit.Cookies(publicURL).Ours(c.Name) && (c.Secure || !c.HTTPOnly) {
			t.Errorf("%s: Secure %t, HttpOnly %t", c.Name, c.Secure, c.HTTPOnly)
		}
	}
	if _, in := ua.Cookie("session-8080"); !in {
		t.Error("there is no session-8080")
	}
}

// TestPageUnderAnotherNameOfThisMachine: a login that begins at 127.0.0.1 would come back
// at localhost, where the browser has none of its cookies. It begins at localhost.
func TestPageUnderAnotherNameOfThisMachine(t *testing.T) {
	s := start(t, cognitotest.Options{})
	for _, path := range []string{"/", "/auth/login?return_to=/x"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.at.Public+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "127.0.0.1:8080"
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		answer, err := s.transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got := answer.Header.Get("Location"); answer.StatusCode != http.StatusFound || got != publicURL+path || len(answer.Header["Set-Cookie"]) != 0 {
			t.Errorf("%s: %d to %q", path, answer.StatusCode, got)
		}
	}
}

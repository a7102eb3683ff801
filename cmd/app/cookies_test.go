package app_test

import (
	"net/http"
	"slices"
	"testing"

	"cognito-token-handler/test/cognitotest"
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

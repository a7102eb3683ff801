package tokenhandler_test

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/session"
)

func keyring(tb testing.TB, fill byte) *seal.Keyring {
	tb.Helper()
	keys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{fill}, seal.KeySize)})
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// save writes a cookie with these values to h.
func save(tb testing.TB, store *session.Store, h http.Header, name string, values map[any]any) {
	tb.Helper()
	r, w := &http.Request{}, httptest.NewRecorder()
	gs, err := store.New(r, name)
	if err != nil {
		tb.Fatal(err)
	}
	gs.Values = values
	if err := gs.Save(r, w); err != nil {
		tb.Fatal(err)
	}
	maps.Copy(h, w.Header())
}

// sessionBody is the answer of GET /auth/session as clients read it.
type sessionBody struct {
	Authenticated bool           `json:"authenticated"`
	Now           time.Time      `json:"now"`
	LoginURL      string         `json:"login_url"`
	Ended         string         `json:"ended"`
	User          map[string]any `json:"user"`
	SessionID     string         `json:"session_id"`
	AuthTime      time.Time      `json:"auth_time"`
	ExpiresAt     time.Time      `json:"expires_at"`
	IdleExpiresAt time.Time      `json:"idle_expires_at"`
	AccessExpires time.Time      `json:"access_token_expires_at"`
	Warning       string         `json:"warning"`
}

// session returns the answer of GET /auth/session, whose status must be 200.
func (a *app) session(ua *useragent.UA) sessionBody {
	a.tb.Helper()
	res := ua.Fetch(http.MethodGet, "/auth/session", "")
	var body sessionBody
	if err := res.JSON(&body); err != nil || res.Status != http.StatusOK {
		a.tb.Fatalf("GET /auth/session: %d %v %s", res.Status, err, res.Body)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		a.tb.Errorf("GET /auth/session: Cache-Control %q", got)
	}
	var fields map[string]any
	if err := res.JSON(&fields); err != nil || !body.Now.Equal(a.clock.Now()) {
		a.tb.Errorf("GET /auth/session: %v %s", err, res.Body)
	}
	for _, name := range []string{"authenticated", "now", "ended"} {
		delete(fields, name)
	}
	if !body.Authenticated && (len(fields) != 1 || fields["login_url"] != "/auth/login") || body.Authenticated && (body.LoginURL != "" || body.Ended != "") {
		a.tb.Errorf("GET /auth/session: %s", res.Body)
	}
	return body
}

// wantSession checks whether the browser is logged in.
func (a *app) wantSession(ua *useragent.UA, want bool) {
	a.tb.Helper()
	if got := a.session(ua).Authenticated; got != want {
		a.tb.Errorf("authenticated: %v, want %v", got, want)
	}
}

// wantPage checks the page of a failed login.
func wantPage(tb testing.TB, res *useragent.Response, wantStatus int, wantCode string) {
	tb.Helper()
	if res.Status != wantStatus || !strings.Contains(string(res.Body), ">"+wantCode+", request ") {
		tb.Errorf("%d, want %d %s: %s", res.Status, wantStatus, wantCode, res.Body)
	}
	if got := res.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		tb.Errorf("Content-Type %q", got)
	}
	if !strings.Contains(string(res.Body), `<a href="/auth/login`) {
		tb.Errorf("no link to try again: %s", res.Body)
	}
	if got := res.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || !strings.Contains(got, "frame-ancestors 'none'") {
		tb.Errorf("Content-Security-Policy %q", got)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" {
		tb.Errorf("the page may be stored, or its address sent to others: %v", res.Header)
	}
	if waits := wantStatus == http.StatusServiceUnavailable || wantStatus == http.StatusTooManyRequests; (res.Header.Get("Retry-After") != "") != waits {
		tb.Errorf("%d with Retry-After %q", wantStatus, res.Header.Get("Retry-After"))
	}
}

// setCookies returns the cookies that an answer sets, by name. Removed ones have a
// negative MaxAge.
func setCookies(tb testing.TB, h http.Header) map[string]*http.Cookie {
	tb.Helper()
	out := map[string]*http.Cookie{}
	for _, line := range h["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			tb.Fatal(err)
		}
		if out[c.Name] != nil {
			tb.Errorf("the answer sets %s twice", c.Name)
		}
		out[c.Name] = c
	}
	if len(out) > 0 && h.Get("Cache-Control") != "no-store" {
		tb.Error("an answer that sets a cookie may be stored")
	}
	return out
}

// loginCookies returns the names of the browser's login cookies.
func loginCookies(ua *useragent.UA) []string {
	var names []string
	for _, c := range ua.Cookies() {
		if strings.HasPrefix(c.Name, loginPrefix) {
			names = append(names, c.Name)
		}
	}
	return names
}

// wantNoSession checks that neither the answer nor the browser has a session.
func wantNoSession(tb testing.TB, ua *useragent.UA, res *useragent.Response) {
	tb.Helper()
	for name, c := range setCookies(tb, res.Header) {
		if c.MaxAge >= 0 && !strings.HasPrefix(name, loginPrefix) && name != beganCookie {
			tb.Errorf("a failed login sets %s", name)
		}
	}
	for _, name := range []string{sessionCookie, sessionCookie + ".1", activeCookie} {
		if _, there := ua.Cookie(name); there {
			tb.Errorf("the browser has %s", name)
		}
	}
}

// wantNoLogin checks that the browser has no login cookie.
func wantNoLogin(tb testing.TB, ua *useragent.UA) {
	tb.Helper()
	if names := loginCookies(ua); len(names) > 0 {
		tb.Errorf("login cookies are left: %v", names)
	}
}

// wantRedeemed checks how many codes were sent to the token endpoint.
func (a *app) wantRedeemed(want int) {
	a.tb.Helper()
	if got := a.pool.Count(cognitotest.TokenCode); got != want {
		a.tb.Errorf("%d codes were sent to the token endpoint, want %d", got, want)
	}
}

// wantQuiet checks that neither the page nor the log contains text of the provider or
// a secret of this login.
func (a *app) wantQuiet(res *useragent.Response) {
	a.tb.Helper()
	if strings.Contains(string(res.Body), cognitotest.Canary) || strings.Contains(res.Location(), cognitotest.Canary) {
		a.tb.Errorf("the answer holds text of the provider's: %s %s", res.Location(), res.Body)
	}
	if a.log.Contains(cognitotest.Canary) {
		a.tb.Error("the log holds text of the provider's")
	}
	a.provider.mu.Lock()
	defer a.provider.mu.Unlock()
	if len(a.provider.secrets) < 4 {
		a.tb.Fatalf("only %d secrets were seen", len(a.provider.secrets))
	}
	for value, what := range a.provider.secrets {
		if a.log.Contains(value) || strings.Contains(string(res.Body), value) {
			a.tb.Errorf("the log or the page holds the %s", what)
		}
	}
}

// metric returns the value of a counter with this label; "" means no label.
func (a *app) metric(name, label string) float64 {
	a.tb.Helper()
	families, err := a.registry.Gather()
	if err != nil {
		a.tb.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			value := ""
			for _, l := range m.GetLabel() {
				value = l.GetValue()
			}
			if value == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// loginCookie returns the browser's only login cookie.
func loginCookie(tb testing.TB, ua *useragent.UA) useragent.Cookie {
	tb.Helper()
	names := loginCookies(ua)
	if len(names) != 1 {
		tb.Fatalf("%d login cookies", len(names))
	}
	c, _ := ua.Cookie(names[0])
	return c
}

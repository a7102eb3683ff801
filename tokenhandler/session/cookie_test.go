package session_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// incompressible returns an opaque token of 4,200 characters.
func incompressible() secret.String {
	const n = 4200
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	return secret.New(base64.RawURLEncoding.EncodeToString(raw)[:n])
}

func TestAttributesOfTheCookies(t *testing.T) {
	f := newFixture(t)
	h := make(http.Header)
	if err := f.begin(h, tokens(1, f.now)); err != nil {
		t.Fatal(err)
	}
	for _, line := range h["Set-Cookie"] {
		for _, attribute := range []string{"; Path=/;", "; HttpOnly; ", "; Secure; ", "; SameSite=Strict"} {
			if !strings.Contains(line+";", attribute) {
				t.Errorf("%.40s… lacks %q", line, attribute)
			}
		}
		if strings.Contains(line, "Domain") || !strings.HasPrefix(line, "__Host-Http-") {
			t.Errorf("%.40s…: Domain set or prefix missing", line)
		}
		if c, err := http.ParseSetCookie(line); err != nil || len(c.Name)+len(c.Value) > 4096 {
			t.Errorf("%.40s…: over 4,096 bytes or unreadable: %v", line, err)
		}
	}
	if h.Get("Cache-Control") != "no-store" {
		t.Error("an answer that sets a cookie may be stored by a cache")
	}
}

// TestAttributesOverPlainHTTP: the cookies have neither the prefix nor Secure.
func TestAttributesOverPlainHTTP(t *testing.T) {
	for _, names := range []session.Names{session.NewNames("session", true), session.NewLoopbackNames("session", "8080")} {
		f, h := newFixture(t, func(c *session.Config) { c.Names = names }), make(http.Header)
		if err := f.begin(h, tokens(1, f.now)); err != nil {
			t.Fatal(err)
		}
		for _, line := range h["Set-Cookie"] {
			name, _, _ := strings.Cut(line, "=")
			_, attributes, _ := strings.Cut(line, "; ")
			if strings.HasPrefix(name, "__") || attributes != "Path=/; HttpOnly; SameSite=Strict" && attributes != "Path=/; Max-Age=0; HttpOnly; SameSite=Strict" {
				t.Errorf("%s with %s", name, attributes)
			}
		}
	}
}

func TestNamesOfTheCookies(t *testing.T) {
	c := session.NewNames("session", false)
	got := fmt.Sprint(c.Session, " ", c.Active, " ", c.Began, " ", c.Login, "x")
	if got != "__Host-Http-session __Host-Http-active __Host-Http-began __Host-Http-login-x" {
		t.Error(got)
	}
	c = session.NewNames("shop", false)
	got = fmt.Sprint(c.Session, " ", c.Active, " ", c.Began, " ", c.Login, "x")
	if got != "__Host-Http-shop __Host-Http-shop-active __Host-Http-shop-began __Host-Http-shop-login-x" {
		t.Error(got)
	}
}

// TestNamesOnLoopback: apps on several ports of one machine have different cookies.
func TestNamesOnLoopback(t *testing.T) {
	for name, want := range map[string]string{
		"session": "session-8080 active-8080 began-8080 login-8080-x",
		"shop":    "shop-session-8080 shop-active-8080 shop-began-8080 shop-login-8080-x",
	} {
		c := session.NewLoopbackNames(name, "8080")
		if got := fmt.Sprint(c.Session, " ", c.Active, " ", c.Began, " ", c.Login, "x"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		for _, ours := range append(strings.Fields(want), c.Session+".1") {
			if !c.Ours(ours) || session.NewLoopbackNames(name, "808").Ours(ours) || session.NewLoopbackNames(name, "80801").Ours(ours) {
				t.Errorf("%s: it is not known whose it is", ours)
			}
		}
	}
}

// TestGrowingAndShrinking: the second cookie of an earlier, larger session must
// neither be opened with the first one of a newer session nor stay in the browser.
func TestGrowingAndShrinking(t *testing.T) {
	f := newFixture(t)
	large, small := tokens(1, f.now), tokens(2, f.now)
	large.Refresh = incompressible()
	j := f.login(t, large)
	if len(j) != 3 || j[sessionCookie+".1"] == "" || j[sessionCookie][0] != '2' {
		t.Fatalf("a large session has the cookies %v", keys(j))
	}
	if field := sameTokens(allTokens(t, f.mustOpen(t, j)), withoutID(large)); field != "" {
		t.Errorf("split session: %s changed", field)
	}

	surplus := j[sessionCookie+".1"]
	f.save(t, j, f.Begin(withoutID(small), f.now))
	if _, there := j[sessionCookie+".1"]; there {
		t.Error("the surplus part stays after the session shrank")
	}
	j[sessionCookie+".1"] = surplus // as if the answer had lost the line that removes it
	if field := sameTokens(allTokens(t, f.mustOpen(t, j)), withoutID(small)); field != "" {
		t.Errorf("with a surplus cookie: %s is not the newer session's", field)
	}

	f.save(t, j, f.Begin(withoutID(large), f.now))
	newest := j[sessionCookie]
	f.save(t, j, f.Begin(withoutID(large), f.now))
	j[sessionCookie] = newest
	if _, err := f.open(j.header()); !errors.Is(err, session.ErrUnreadable) {
		t.Errorf("parts of two writes opened together: %v", err)
	}
}

// TestNewSessionRemovesASecondCookieThatIsNotSent: browsers send no Strict cookies with the
// provider's redirect, so the request of a login does not show those of the earlier session.
func TestNewSessionRemovesASecondCookieThatIsNotSent(t *testing.T) {
	f := newFixture(t)
	large := tokens(1, f.now)
	large.Refresh = incompressible()
	j := f.login(t, large)
	h := make(http.Header)
	if err := f.begin(h, tokens(2, f.now)); err != nil {
		t.Fatal(err)
	}
	j.take(t, h)
	if _, there := j[sessionCookie+".1"]; there {
		t.Errorf("the second cookie of the earlier session stays: %v", h["Set-Cookie"])
	}
}

func withoutID(t secret.Tokens) secret.Tokens {
	t.ID = secret.String{}
	return t
}

func keys(j jar) (names []string) {
	for name := range j {
		names = append(names, name)
	}
	return names
}

// save saves s in place of the browser's session.
func (f *fixture) save(t *testing.T, j jar, s *session.Session) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = j.header()
	w := httptest.NewRecorder()
	gs, err := f.Get(r, sessionCookie)
	if err != nil {
		t.Fatal(err)
	}
	gs.Values[session.Key] = s
	if err := gs.Save(r, w); err != nil {
		t.Fatal(err)
	}
	j.take(t, w.Header())
}

func TestBadCookiesAreNoSession(t *testing.T) {
	f := newFixture(t)
	good := f.login(t, tokens(1, f.now))
	other := f.login(t, tokens(2, f.now))
	value := good[sessionCookie]
	foreignKeys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{9}, seal.KeySize)})
	if err != nil {
		t.Fatal(err)
	}
	foreign := newFixture(t, func(c *session.Config) { c.Keys = foreignKeys })
	j := func(j jar) string { return j.header().Get("Cookie") }
	for name, c := range map[string]struct {
		cookies string
		want    error
	}{
		"empty":                       {sessionCookie + "=", session.ErrUnreadable},
		"garbage":                     {sessionCookie + "=1AAAA", session.ErrUnreadable},
		"number of parts 0":           {sessionCookie + "=0" + value[1:], session.ErrUnreadable},
		"number of parts 3":           {sessionCookie + "=3" + value[1:], session.ErrUnreadable},
		"second part missing":         {sessionCookie + "=2" + value[1:], session.ErrUnreadable},
		"cut":                         {sessionCookie + "=" + value[:len(value)-8], session.ErrUnreadable},
		"one character changed":       {sessionCookie + "=" + value[:100] + swap(value[100]) + value[101:], session.ErrUnreadable},
		"the activity cookie instead": {sessionCookie + "=1" + good[activeCookie], session.ErrUnreadable},
		"of another key ring":         {sessionCookie + "=" + foreign.login(t, tokens(1, f.now))[sessionCookie], session.ErrUnknownKey},
		"twice, the same":             {sessionCookie + "=" + value + "; " + sessionCookie + "=" + value, session.ErrUnreadable},
		"twice, another's first":      {sessionCookie + "=" + other[sessionCookie] + "; " + sessionCookie + "=" + value, session.ErrUnreadable},
		"twice, then the activity":    {sessionCookie + "=" + value + "; " + j(good), session.ErrUnreadable},
		"twice, then a second part":   {sessionCookie + "=" + value + "; " + sessionCookie + "=" + value + "; " + sessionCookie + ".1=AAAA", session.ErrUnreadable},
		"the second part twice":       {sessionCookie + ".1=AAAA; " + sessionCookie + ".1=AAAA; " + sessionCookie + "=" + value, session.ErrUnreadable},
		"the activity twice":          {j(good) + "; " + activeCookie + "=" + good[activeCookie], session.ErrUnreadable},
		"another's activity first":    {activeCookie + "=" + other[activeCookie] + "; " + j(good), session.ErrUnreadable},
		"quoted":                      {sessionCookie + `="` + value + `"`, session.ErrUnreadable},
		"among 50 others":             {strings.Repeat("a=b; ", 50) + sessionCookie + "=" + value, nil},
		"50 of ours":                  {strings.Repeat("__Host-Http-login-x=y; ", 50) + sessionCookie + "=" + value, session.ErrCookiesTooLarge},
		"100 KB of ours":              {sessionCookie + "=" + value + "; __Host-Http-active=" + strings.Repeat("x", 100<<10), session.ErrCookiesTooLarge},
		"100 KB of others":            {"x=" + strings.Repeat("x", 100<<10) + "; " + sessionCookie + "=" + value, nil},
	} {
		h := http.Header{"Cookie": {c.cookies}}
		s, err := f.open(h)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if (err == nil) != (s != nil) {
			t.Errorf("%s: error %v with session %v", name, err, s)
		}
	}
	for _, line := range []string{"", "a=b; __Host-Http-sessio=1; __Host-Http-session.2=1; =; ;;; x"} {
		if s, err := f.open(http.Header{"Cookie": {line}}); s != nil || err != nil {
			t.Errorf("without a session cookie: %v, %v", s, err)
		}
	}
	two := http.Header{"Cookie": {"a=b", sessionCookie + "=" + value}}
	if _, err := f.open(two); err != nil {
		t.Errorf("several Cookie lines, as HTTP/2 may send them: %v", err)
	}
}

func swap(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// TestRotatedKeyKeepsSessions: a new sealing key logs nobody out, as long as the old
// key still opens.
func TestRotatedKeyKeepsSessions(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	old, added := bytes.Repeat([]byte{7}, seal.KeySize), bytes.Repeat([]byte{8}, seal.KeySize)
	if err := f.keys.Replace([][]byte{added, old}); err != nil {
		t.Fatal(err)
	}
	f.mustOpen(t, j)
	if err := f.keys.Replace([][]byte{added}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.open(j.header()); !errors.Is(err, session.ErrUnknownKey) {
		t.Errorf("after the old key was removed: %v", err)
	}
}

func FuzzCookieHeader(f *testing.F) {
	fix := newFixture(f)
	j := fix.login(f, tokens(1, fix.now))
	f.Add(j.header().Get("Cookie"))
	f.Add(sessionCookie + "=2AAAA; " + sessionCookie + ".1=BBBB;;=;")
	f.Fuzz(func(t *testing.T, line string) {
		if s, err := fix.open(http.Header{"Cookie": {line}}); err != nil && s != nil {
			t.Errorf("error %v with session %v", err, s)
		}
	})
}

// TestPersistentCookies: with Persistent the cookies of a session last in the browser
// until its absolute end, also those that are written later. Those of a login, and
// cookies that are removed, are as without it.
func TestPersistentCookies(t *testing.T) {
	maxAges := func(h http.Header) map[string]int {
		ages := make(map[string]int)
		for _, line := range h["Set-Cookie"] {
			c, err := http.ParseSetCookie(line)
			if err != nil {
				t.Fatal(err)
			}
			ages[c.Name] = c.MaxAge
		}
		return ages
	}
	f := newFixture(t, func(c *session.Config) { c.Persistent = true })
	large := tokens(1, f.now)
	large.Refresh = incompressible()
	h := make(http.Header)
	if err := f.begin(h, large); err != nil {
		t.Fatal(err)
	}
	const day = 12 * 3600
	want := map[string]int{sessionCookie: day, sessionCookie + ".1": day, activeCookie: day}
	if got := maxAges(h); !maps.Equal(got, want) {
		t.Errorf("after the login: %v, want %v", got, want)
	}
	j := jar{}
	j.take(t, h)
	f.now = f.now.Add(30 * time.Minute)
	r, w := with(j), httptest.NewRecorder()
	gs, err := f.Get(r, sessionCookie)
	if err != nil {
		t.Fatal(err)
	}
	activity, ok := gs.Values[session.ActivityKey].(*session.Activity)
	if !ok {
		t.Fatalf("the values are %v", gs.Values)
	}
	activity.Active = f.now
	if err := gs.Save(r, w); err != nil {
		t.Fatal(err)
	}
	if got, want := maxAges(w.Header()), (map[string]int{activeCookie: day - 1800}); !maps.Equal(got, want) {
		t.Errorf("half an hour later: %v, want %v", got, want)
	}
	gs.Options.MaxAge, w = -1, httptest.NewRecorder()
	if err := gs.Save(r, w); err != nil {
		t.Fatal(err)
	}
	for name, age := range maxAges(w.Header()) {
		if age >= 0 {
			t.Errorf("the logout keeps %s for %d s", name, age)
		}
	}
	h = make(http.Header)
	if err := newFixture(t).begin(h, large); err != nil {
		t.Fatal(err)
	}
	for name, age := range maxAges(h) {
		if age != 0 {
			t.Errorf("without the option, %s lasts for %d s", name, age)
		}
	}
}

// TestWithheldCookies: an upstream gets neither the cookies of this service nor those of
// another one on the same host, but all others.
func TestWithheldCookies(t *testing.T) {
	for _, names := range []session.Names{session.NewNames("session", false), session.NewNames("shop", true), session.NewLoopbackNames("session", "8080")} {
		for _, name := range []string{
			names.Session, names.Session + ".1", names.Session + ".7", names.Active, names.Began, names.Login + "x",
			"__Host-Http-admin", "__host-http-admin", "__HOST-HTTP-x", "__Host-Http-", "__Host-Http-admin-login-x",
			"session-1", "session-8081", "session-8081.1", "session-65535", "active-3000", "login-8081-AbC", "began-8081",
			"shop-session-8081", "shop-session-8081.1", "shop-active-3000", "a-b-login-8081-AbC", "session-x-session-80",
		} {
			if !names.Withheld(name) {
				t.Errorf("%s goes to the upstream", name)
			}
		}
		for _, name := range []string{
			"", "theme", "__Host-theme", "__Host-Https-x", "__Secure-x", "__Http-x", "my__Host-Http-session", "Host-Http-session",
			"session", "sessionid", "session-", "session-x", "session-0", "session-01", "session-65536", "session-123456789", "session-80x",
			"mysession-8080", "session_8080", "active", "login", "login-x", "phpsession-8080", "session-+8080", "session- 80",
		} {
			if names.Withheld(name) && !names.Ours(name) {
				t.Errorf("%s of the app does not reach its upstream", name)
			}
		}
	}
}

package session_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// with is a request from a browser with these cookies.
func with(j jar) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = j.header()
	return r
}

// TestSessionInGorilla follows a session through the calls that everybody who knows
// gorilla/sessions expects: Get, Values, Save, and MaxAge -1 to end it.
func TestSessionInGorilla(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	r := with(j)
	gs, err := f.Get(r, sessionCookie)
	if err != nil || gs.IsNew {
		t.Fatalf("new %v, %v", gs.IsNew, err)
	}
	if again, _ := f.Get(r, sessionCookie); again != gs {
		t.Error("a second Get opened the cookie again")
	}
	s, ok := gs.Values[session.Key].(*session.Session)
	activity, _ := gs.Values[session.ActivityKey].(*session.Activity)
	if !ok || s.Access.IsZero() || activity == nil || activity.Session != s.ID || !activity.Active.Equal(f.now) {
		t.Fatalf("the values are %v", gs.Values)
	}
	if *gs.Options != (sessions.Options{Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}) {
		t.Errorf("options %+v", gs.Options)
	}
	w := httptest.NewRecorder()
	if err := gs.Save(r, w); err != nil || len(w.Header()) != 0 {
		t.Errorf("saving what the browser has: %v, %v", w.Header(), err)
	}
	gs.Options.MaxAge = -1
	if err := gs.Save(r, w); err != nil {
		t.Fatal(err)
	}
	if j.take(t, w.Header()); len(j) != 0 {
		t.Errorf("after MaxAge -1 the browser has %v", keys(j))
	}
}

// TestNoSessionInGorilla: gorilla asks for a new session whatever goes wrong.
func TestNoSessionInGorilla(t *testing.T) {
	f := newFixture(t)
	good := f.login(t, tokens(1, f.now))
	later := func(d time.Duration) *fixture {
		return newFixture(t, func(c *session.Config) { c.Now = func() time.Time { return f.now.Add(d) } })
	}
	for name, c := range map[string]struct {
		f       *fixture
		cookies jar
		err     error
	}{
		"no cookie":  {f, nil, nil},
		"unreadable": {f, jar{sessionCookie: "1garbage"}, session.ErrUnreadable},
		"too large":  {f, jar{sessionCookie: strings.Repeat("x", 20000)}, session.ErrCookiesTooLarge},
		"idle":       {later(time.Hour), good, session.ErrIdle},
		"expired":    {later(12 * time.Hour), good, session.ErrExpired},
	} {
		gs, err := c.f.New(with(c.cookies), sessionCookie)
		if !errors.Is(err, c.err) || gs == nil || !gs.IsNew || len(gs.Values) != 0 {
			t.Errorf("%s: %+v, %v", name, gs, err)
		}
		ended, ok := errors.AsType[*session.EndedError](err)
		if want := name == "idle" || name == "expired"; ok != want || want && ended.Session == nil {
			t.Errorf("%s: the session that has ended is missing from %v", name, err)
		}
		if err := gs.Save(with(c.cookies), httptest.NewRecorder()); err == nil {
			t.Errorf("%s: a session without values was saved", name)
		}
	}
	if gs, err := f.New(with(nil), "foreign"); gs == nil || err == nil {
		t.Error("a cookie of another service was opened")
	}
	if err := sessions.NewSession(f.Store, "foreign").Save(with(nil), httptest.NewRecorder()); err == nil {
		t.Error("a cookie of another service was saved")
	}
}

// TestLoginInGorilla: a login cookie is Lax, because the browser has to send it with
// the provider's redirect, and ends by itself. So is the cookie that says that a login
// began.
func TestLoginInGorilla(t *testing.T) {
	names := session.NewNames("session", false)
	for _, name := range []string{names.Login + "AbCd_-12", names.Began} {
		t.Run(name, func(t *testing.T) { followLogin(t, name) })
	}
}

// followLogin saves, opens and removes a login cookie.
func followLogin(t *testing.T, name string) {
	t.Helper()
	f := newFixture(t)
	r, w := with(nil), httptest.NewRecorder()
	gs, err := f.Get(r, name)
	if err != nil || !gs.IsNew {
		t.Fatalf("new %v, %v", gs.IsNew, err)
	}
	gs.Values[session.Key], gs.Options.MaxAge = []byte("payload"), 900
	if err := gs.Save(r, w); err != nil {
		t.Fatal(err)
	}
	_, attributes, _ := strings.Cut(w.Header().Get("Set-Cookie"), "; ")
	if attributes != "Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Lax" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("attributes %s, headers %v", attributes, w.Header())
	}
	j := jar{}
	j.take(t, w.Header())
	r = with(j)
	gs, err = f.Get(r, name)
	if payload, _ := gs.Values[session.Key].([]byte); err != nil || gs.IsNew || string(payload) != "payload" {
		t.Fatalf("%+v, %v", gs, err)
	}
	if gs, err := f.New(with(jar{f.Login + "other": j[name]}), f.Login+"other"); !errors.Is(err, session.ErrUnreadable) || !gs.IsNew {
		t.Errorf("under the name of another login: %v", err)
	}
	gs.Options.MaxAge = -1
	w = httptest.NewRecorder()
	if err := gs.Save(r, w); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Set-Cookie"); got != name+"=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax" {
		t.Errorf("removing it: %s", got)
	}
	gs.Options.MaxAge, gs.Values[session.Key] = 900, make([]byte, 4000)
	if err := gs.Save(r, w); err == nil {
		t.Error("a login over the limit was saved")
	}
}

// TestSaveOfALaterGeneration: the answers to parallel requests share one sealed
// value, because sealing costs far more than opening.
func TestSaveOfALaterGeneration(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	stored := f.mustOpen(t, j)
	renewed := secret.Tokens{Access: secret.New("renewed"), AccessExpires: f.now.Add(time.Hour)}
	next := f.Next(stored, allTokens(t, stored), renewed, 2, f.now)
	save := func(s *session.Session) string {
		r, w := with(j), httptest.NewRecorder()
		gs, err := f.Get(r, sessionCookie)
		if err != nil {
			t.Fatal(err)
		}
		gs.Values[session.Key] = s
		if err := gs.Save(r, w); err != nil {
			t.Fatal(err)
		}
		return strings.Join(w.Header()["Set-Cookie"], "\n")
	}
	written := save(next)
	if !strings.HasPrefix(written, sessionCookie+"=1") || strings.Contains(written, "\n") || written != save(next) {
		t.Errorf("two answers: %s", written)
	}
	// Another request brings the new cookie. For those that still carry the old one
	// it is written as it came.
	value, _, _ := strings.Cut(strings.TrimPrefix(written, sessionCookie+"="), ";")
	if got := save(f.mustOpen(t, jar{sessionCookie: value})); got != written {
		t.Errorf("from a cookie: %s, want %s", got, written)
	}
}

// TestUnknownKeyMayBecomeKnown: while keys are rotated, a session or its activity may be
// sealed by another replica with a key that this one does not have yet. Nothing is known
// then, so that the error differs from that of a session that is over.
func TestUnknownKeyMayBecomeKnown(t *testing.T) {
	f, next := newFixture(t), newFixture(t, func(c *session.Config) {
		keys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{8}, seal.KeySize), bytes.Repeat([]byte{7}, seal.KeySize)})
		if err != nil {
			t.Fatal(err)
		}
		c.Keys = keys
	})
	ours, theirs := f.login(t, tokens(1, f.now)), next.login(t, tokens(1, f.now))
	for name, c := range map[string]struct {
		cookies jar
		later   time.Duration
		err     error
	}{
		"session":                                 {theirs, 0, session.ErrUnknownKey},
		"activity, session active by itself":      {jar{sessionCookie: ours[sessionCookie], activeCookie: theirs[activeCookie]}, 59 * time.Minute, nil},
		"activity, session idle by itself":        {jar{sessionCookie: ours[sessionCookie], activeCookie: theirs[activeCookie]}, time.Hour, session.ErrUnknownKey},
		"activity, session over":                  {jar{sessionCookie: ours[sessionCookie], activeCookie: theirs[activeCookie]}, 12 * time.Hour, session.ErrExpired},
		"nothing, session idle":                   {ours, time.Hour, session.ErrIdle},
		"no activity cookie, session idle":        {jar{sessionCookie: ours[sessionCookie]}, time.Hour, session.ErrIdle},
		"session that does not open, and unknown": {jar{sessionCookie: "1" + theirs[sessionCookie][1:30]}, 0, session.ErrUnreadable},
	} {
		at := newFixture(t, func(cfg *session.Config) { cfg.Now = func() time.Time { return f.now.Add(c.later) } })
		_, err := at.open(c.cookies.header())
		if !errors.Is(err, c.err) || errors.Is(err, session.ErrUnreadable) && !errors.Is(c.err, session.ErrUnreadable) ||
			errors.Is(err, session.ErrUnknownKey) && !errors.Is(c.err, session.ErrUnknownKey) {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
	if err := f.Codec().Decode("shared", mustSeal(t, next, "shared"), &session.Session{}); !errors.Is(err, session.ErrUnknownKey) {
		t.Errorf("a session in the store: %v", err)
	}
}

// mustSeal seals a session for another place than a cookie.
func mustSeal(t *testing.T, f *fixture, name string) string {
	t.Helper()
	sealed, err := f.Codec().Encode(name, f.Begin(tokens(1, f.now), f.now))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

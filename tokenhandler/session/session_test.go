package session_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// fixture is a store whose clock the test sets.
type fixture struct {
	*session.Store

	keys *seal.Keyring
	now  time.Time
}

func newFixture(tb testing.TB, change ...func(*session.Config)) *fixture {
	tb.Helper()
	keys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{7}, seal.KeySize)})
	if err != nil {
		tb.Fatal(err)
	}
	f := &fixture{keys: keys, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	cfg := session.Config{
		Keys: keys, Names: session.NewNames("session", false), IdleTimeout: time.Hour, AbsoluteLifetime: 12 * time.Hour,
		Now: func() time.Time { return f.now }, Issuer: goldenIssuer, ClientID: goldenClient,
	}
	for _, c := range change {
		c(&cfg)
	}
	f.Store = session.NewStore(cfg)
	return f
}

// tokens are of the sizes that Cognito makes, 4,272 bytes together.
func tokens(seed uint64, now time.Time) secret.Tokens {
	id, access, refresh := cognitotest.Tokens(cognitotest.TokenOptions{Seed: seed, IssuedAt: now})
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(id, ".")[1])
	if err != nil {
		panic(err)
	}
	var claims struct {
		Sub      string   `json:"sub"`
		Username string   `json:"cognito:username"`
		Email    string   `json:"email"`
		Verified bool     `json:"email_verified"`
		Name     string   `json:"name"`
		Groups   []string `json:"cognito:groups"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		panic(err)
	}
	kept, err := json.Marshal(map[string]any{
		"sub": claims.Sub, "username": claims.Username, "email": claims.Email,
		"email_verified": claims.Verified, "name": claims.Name, "groups": claims.Groups,
	})
	if err != nil {
		panic(err)
	}
	return secret.Tokens{
		Access: secret.New(access), ID: secret.New(id), Refresh: secret.New(refresh),
		AccessExpires: now.Add(time.Hour), AuthTime: now, NonceHash: [4]byte{1, 2, 3, 4},
		Subject: claims.Sub, Claims: string(kept),
	}
}

// jar is a browser's cookies, by name.
type jar map[string]string

// take applies the Set-Cookie lines of an answer.
func (j jar) take(tb testing.TB, h http.Header) {
	tb.Helper()
	for _, line := range h["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			tb.Fatal(err)
		}
		if c.MaxAge < 0 {
			delete(j, c.Name)
		} else {
			j[c.Name] = c.Value
		}
	}
}

// header is the header of a request from this browser.
func (j jar) header() http.Header {
	var pairs []string
	for name, value := range j {
		pairs = append(pairs, name+"="+value)
	}
	return http.Header{"Cookie": {strings.Join(pairs, "; ")}}
}

// login begins a session and returns the browser that holds it.
func (f *fixture) login(tb testing.TB, t secret.Tokens) jar {
	tb.Helper()
	h := make(http.Header)
	if err := f.begin(h, t); err != nil {
		tb.Fatal(err)
	}
	j := jar{}
	j.take(tb, h)
	return j
}

// begin writes the cookies of a new session, as a login does.
func (f *fixture) begin(h http.Header, t secret.Tokens) error {
	r, w := &http.Request{}, httptest.NewRecorder()
	gs, err := f.New(r, f.Session)
	if err != nil {
		return err
	}
	gs.Values[session.Key] = f.Begin(t, f.now)
	if err := gs.Save(r, w); err != nil {
		return err
	}
	maps.Copy(h, w.Header())
	return nil
}

// open opens the session of a request with this header. It returns nil without a
// session.
func (f *fixture) open(h http.Header) (*session.Session, error) {
	gs, err := f.New(&http.Request{Header: h}, sessionCookie)
	s, _ := gs.Values[session.Key].(*session.Session)
	return s, err
}

func (f *fixture) mustOpen(tb testing.TB, j jar) *session.Session {
	tb.Helper()
	s, err := f.open(j.header())
	if err != nil || s == nil {
		tb.Fatalf("opening the session: %v", err)
	}
	return s
}

func sameTokens(a, b secret.Tokens) string {
	for name, pair := range map[string][2]string{
		"access":              {a.Access.Reveal(), b.Access.Reveal()},
		"id":                  {a.ID.Reveal(), b.ID.Reveal()},
		"refresh":             {a.Refresh.Reveal(), b.Refresh.Reveal()},
		"subject":             {a.Subject, b.Subject},
		"claims":              {a.Claims, b.Claims},
		"times":               {fmt.Sprint(a.AccessExpires.Unix(), a.AuthTime.Unix()), fmt.Sprint(b.AccessExpires.Unix(), b.AuthTime.Unix())},
		"sid":                 {a.SID, b.SID},
		"refresh token's end": {fmt.Sprint(a.RefreshExpires.Unix()), fmt.Sprint(b.RefreshExpires.Unix())},
		"nonce":               {fmt.Sprint(a.NonceHash), fmt.Sprint(b.NonceHash)},
	} {
		if pair[0] != pair[1] {
			return name
		}
	}
	return ""
}

const (
	sessionCookie = "__Host-Http-session"
	activeCookie  = "__Host-Http-active"
)

// allTokens returns all tokens of a session. They must agree with its fields.
func allTokens(tb testing.TB, s *session.Session) secret.Tokens {
	tb.Helper()
	all, err := s.Tokens()
	if err != nil {
		tb.Fatal(err)
	}
	if all.Access.Reveal() != s.Access.Reveal() || all.Subject != s.Subject || !all.AccessExpires.Equal(s.AccessExpires) {
		tb.Error("the fields of the session differ from its tokens")
	}
	return all
}

// TestPrintingASessionShowsNoToken: a session that was opened from a cookie, and a copy
// of it, print without the access token.
func TestPrintingASessionShowsNoToken(t *testing.T) {
	f := newFixture(t)
	s := f.mustOpen(t, f.login(t, tokens(1, f.now)))
	token := s.Access.Reveal()
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for kind, value := range map[string]any{"pointer": s, "copy": *s} {
			text := fmt.Sprintf(format, value)
			if strings.Contains(text, token) {
				t.Errorf("%s of a %s shows the access token", format, kind)
			}
			if want := "session " + s.ID.Name().String() + " generation 1"; kind == "pointer" && text != want {
				t.Errorf("%s is %q, want %q", format, text, want)
			}
		}
	}
}

// TestNamesOfASessionInLogs: one that was opened from a cookie, one that was not, and one that
// holds nothing.
func TestNamesOfASessionInLogs(t *testing.T) {
	f := newFixture(t)
	begun, opened := f.Begin(tokens(1, f.now), f.now), f.mustOpen(t, f.login(t, tokens(2, f.now)))
	for _, s := range []*session.Session{begun, opened, {}} {
		if want := s.ID.Name().String(); s.LogName() != want || s.ID.String() != want || len(want) != 16 {
			t.Errorf("%q and %q, want %q", s.LogName(), s.ID.String(), want)
		}
	}
	if begun.LogName() == opened.LogName() {
		t.Error("two sessions have one name")
	}
	if _, err := new(session.Session).Tokens(); !errors.Is(err, session.ErrUnreadable) {
		t.Errorf("the tokens of none: %v", err)
	}
}

// TestFits: a session that was opened from cookies fits, and a new one as far as its size is
// within the budget.
func TestFits(t *testing.T) {
	f := newFixture(t)
	if err := f.Fits(f.mustOpen(t, f.login(t, tokens(1, f.now)))); err != nil {
		t.Errorf("opened: %v", err)
	}
	if err := f.Fits(f.Begin(tokens(1, f.now), f.now)); err != nil {
		t.Errorf("small: %v", err)
	}
	large := tokens(1, f.now)
	large.Refresh, large.Access = incompressible(), incompressible()
	err := f.Fits(f.Begin(large, f.now))
	if refused, ok := err.(*session.TooLargeError); !ok || refused.Refresh != 4200 || refused.Access != 4200 { //nolint:errorlint // exactly this
		t.Errorf("large: %v", err)
	}
}

// TestKeysAreCountedFromTheStart: a key that has opened nothing can be told from one that is
// not there.
func TestKeysAreCountedFromTheStart(t *testing.T) {
	metrics := session.NewMetrics(nil)
	f := newFixture(t, func(c *session.Config) { c.Metrics = metrics })
	if n := testutil.CollectAndCount(metrics.OpenedByKey); n != 1 {
		t.Errorf("%d keys", n)
	}
	if err := f.keys.Replace([][]byte{bytes.Repeat([]byte{8}, seal.KeySize), bytes.Repeat([]byte{7}, seal.KeySize)}); err != nil {
		t.Fatal(err)
	}
	if f.CountKeys(); testutil.CollectAndCount(metrics.OpenedByKey) != 2 {
		t.Error("a new key is not counted")
	}
	f.mustOpen(t, f.login(t, tokens(1, f.now)))
	if got := testutil.ToFloat64(metrics.OpenedByKey.WithLabelValues(f.keys.IDs()[0].String())); got != 1 {
		t.Errorf("opened %v times", got)
	}
}

// TestSessionThatBeginsInTheFuture, because a revocation is later than now: its user was active,
// and the provider was asked, when the login ended.
func TestSessionThatBeginsInTheFuture(t *testing.T) {
	f := newFixture(t)
	w, r := httptest.NewRecorder(), &http.Request{}
	gs, err := f.New(r, sessionCookie)
	if err != nil {
		t.Fatal(err)
	}
	gs.Values[session.Key] = f.Begin(tokens(1, f.now), f.now.Add(5*time.Second))
	if err := gs.Save(r, w); err != nil {
		t.Fatal(err)
	}
	activity, _ := gs.Values[session.ActivityKey].(*session.Activity)
	if !activity.Active.Equal(f.now) || !activity.Probed.Equal(f.now) {
		t.Errorf("active at %v, asked at %v", activity.Active, activity.Probed)
	}
	j := jar{}
	j.take(t, w.Header())
	if s := f.mustOpen(t, j); !s.Begun.Equal(f.now.Add(5*time.Second)) || !s.Expires.Equal(f.now.Add(12*time.Hour)) {
		t.Errorf("began at %v, ends at %v", s.Begun, s.Expires)
	}
}

package refresh_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// fixture is a manager whose clock the test sets.
type fixture struct {
	*refresh.Manager

	store   *session.Store
	now     time.Time
	denied  *memory.List
	refresh refreshFunc
	// discarded are the refresh tokens that were given back.
	discarded []string
	cfg       settings
}

// settings are the configuration that a test may change.
type settings struct {
	session.Config

	refresh refresh.Config
}

// endAll ends all sessions of the user sub that have begun.
func (f *fixture) endAll(tb testing.TB, sub string) {
	tb.Helper()
	now := f.cfg.Now()
	entry := replicas.Revocation{Kind: replicas.KindSubject, Name: sub, Before: now, Until: now.Add(f.cfg.AbsoluteLifetime)}
	if _, err := f.denied.Add(f.denied.Cover(entry, false)); err != nil {
		tb.Fatal(err)
	}
}

type refreshFunc func(ctx context.Context, previous secret.Tokens) (secret.Tokens, error)

func (f *fixture) Refresh(ctx context.Context, previous secret.Tokens) (secret.Tokens, error) {
	return f.refresh(ctx, previous)
}

func newFixture(tb testing.TB, change ...func(*settings)) *fixture {
	tb.Helper()
	keys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{7}, seal.KeySize)})
	if err != nil {
		tb.Fatal(err)
	}
	f := &fixture{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	f.denied = memory.New(func() time.Time { return f.cfg.Now() })
	f.cfg = settings{
		Config: session.Config{
			Keys: keys, Names: session.NewNames("session", false), IdleTimeout: time.Hour, AbsoluteLifetime: 12 * time.Hour,
			Now: func() time.Time { return f.now },
		},
		refresh: refresh.Config{
			Refresher: f, Denied: f.denied,
			Discard:       func(token secret.String) { f.discarded = append(f.discarded, token.Reveal()) },
			RefreshBefore: time.Minute, RefreshGrace: 30 * time.Second, RefreshTimeout: 10 * time.Second,
			Log: testkit.Logger(tb),
		},
	}
	for _, c := range change {
		c(&f.cfg)
	}
	f.store = session.NewStore(f.cfg.Config)
	f.cfg.refresh.Store, f.cfg.refresh.Now = f.store, f.cfg.Now
	f.Manager = refresh.NewManager(f.cfg.refresh)
	return f
}

// tokens returns tokens of the sizes that Cognito makes: 4,272 bytes together.
func tokens(seed uint64, now time.Time) secret.Tokens {
	id, access, refreshing := cognitotest.Tokens(cognitotest.TokenOptions{Seed: seed, IssuedAt: now})
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
	userClaims, err := json.Marshal(map[string]any{
		"sub": claims.Sub, "username": claims.Username, "email": claims.Email,
		"email_verified": claims.Verified, "name": claims.Name, "groups": claims.Groups,
	})
	if err != nil {
		panic(err)
	}
	return secret.Tokens{
		Access: secret.New(access), ID: secret.New(id), Refresh: secret.New(refreshing),
		AccessExpires: now.Add(time.Hour), AuthTime: now, NonceHash: [4]byte{1, 2, 3, 4},
		Subject: claims.Sub, Claims: string(userClaims),
	}
}

// jar holds a browser's cookies: name → value.
type jar map[string]string

// take applies the Set-Cookie lines of a response.
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

// header is that of a request of this browser.
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
	if _, err := begin(f.store, h, t, f.denied.Begin(t.Subject, t.SID)); err != nil {
		tb.Fatal(err)
	}
	j := jar{}
	j.take(tb, h)
	return j
}

// begin writes the cookies of a new session, as a login does.
func begin(store *session.Store, h http.Header, t secret.Tokens, begun time.Time) (*session.Session, error) {
	r, s := &http.Request{}, store.Begin(t, begun)
	gs, err := store.New(r, store.Session)
	if err != nil {
		return nil, err
	}
	gs.Values[session.Key] = s
	return s, gs.Save(r, headerWriter(h))
}

// headerWriter is a response writer of which only the header counts.
type headerWriter http.Header

func (w headerWriter) Header() http.Header { return http.Header(w) }

func (headerWriter) Write(body []byte) (int, error) { return len(body), nil }

func (headerWriter) WriteHeader(int) {}

// Open opens the session of a request with this header.
func (f *fixture) Open(h http.Header) (*refresh.RequestSession, error) {
	return f.Manager.Open(&http.Request{Header: h})
}

func (f *fixture) mustOpen(tb testing.TB, j jar) *refresh.RequestSession {
	tb.Helper()
	v, err := f.Open(j.header())
	if err != nil {
		tb.Fatalf("opening the session: %v", err)
	}
	return v
}

const (
	sessionCookie = "__Host-Http-session"
	activeCookie  = "__Host-Http-active"
)

// allTokens returns all tokens of a session, and compares them with the fields of the
// session.
func allTokens(tb testing.TB, s *session.Session) secret.Tokens {
	tb.Helper()
	all, err := s.Tokens()
	if err != nil {
		tb.Fatal(err)
	}
	if all.Access.Reveal() != s.Access.Reveal() || all.Subject != s.Subject || !all.AccessExpires.Equal(s.AccessExpires) {
		tb.Error("what is at hand is not what all tokens say")
	}
	return all
}

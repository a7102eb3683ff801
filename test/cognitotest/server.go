package cognitotest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
)

// The names of the endpoints for [Server.Count], [Server.LastForm] and [Server.Break].
// A request to the token endpoint counts as [TokenAny] and under its grant type.
const (
	Discovery    = "discovery"
	JWKS         = "jwks"
	Authorize    = "authorize" // includes /login, /signup and /forgotPassword
	TokenAny     = "token"
	TokenCode    = "token.code"
	TokenRefresh = "token.refresh"
	Revoke       = "revoke"
	UserInfo     = "userinfo"
	API          = "api" // Cognito's API (GlobalSignOut)
	Logout       = "logout"
	Elsewhere    = "elsewhere" // the target of [Redirected], which no client may request
)

// Server is a user pool with its domain, on one loopback port. Its methods are safe for
// concurrent use.
type Server struct {
	URL string // of the hosted UI and the token endpoint, e.g. http://127.0.0.1:40001

	http   *httptest.Server
	opts   Options
	random io.Reader
	closed chan struct{}
	once   sync.Once

	mu             sync.Mutex
	generation     int
	keys           keyPair
	users          map[string]*account      // user name → account
	loginUser      string                   // the user that the hosted UI logs in
	browsers       map[string]hostedSession // hosted UI cookie → session
	codes          map[string]*code         // authorization code → its grant
	refresh        map[string]*refreshToken // refresh token → its family
	families       map[string]*family       // origin_jti → login
	counts         map[string]int           // endpoint → requests
	changed        chan struct{}            // closed and replaced when a count grows
	last           map[string]request       // endpoint → the newest request
	broken         map[string]*activeOutage // endpoint → its outage
	recentRequests []time.Time              // requests of the last second, see Options.MaxRPS
	editID         func(*Token)
	editAccess     func(*Token)
	onlyGrant      string // the grant type that the edits apply to, "" for all
	onCallback     func(url.Values)
	onReturn       func(url.Values)
	callbacks      []string
	logouts        []string
}

type account struct {
	User

	disabled bool
}

type hostedSession struct {
	username string
	since    time.Time
}

type request struct {
	form   url.Values
	header http.Header
}

// New starts a pool and closes it at the end of the test.
func New(tb testing.TB, opts Options) *Server {
	tb.Helper()
	s := Start(opts)
	tb.Cleanup(s.Close)
	return s
}

// Start is like [New] for programs without a test. The caller must close the server.
func Start(opts Options) *Server {
	opts = opts.withDefaults()
	s := &Server{
		opts: opts, random: rand.Reader, closed: make(chan struct{}),
		keys:  newKeyPair(0, opts.SingleKey),
		users: map[string]*account{}, loginUser: opts.Users[0].Username,
		browsers: map[string]hostedSession{}, codes: map[string]*code{},
		refresh: map[string]*refreshToken{}, families: map[string]*family{},
		counts: map[string]int{}, changed: make(chan struct{}), last: map[string]request{}, broken: map[string]*activeOutage{},
		callbacks: opts.CallbackURLs, logouts: opts.LogoutURLs,
	}
	for _, u := range opts.Users {
		s.AddUser(u)
	}
	s.http = httptest.NewServer(s.routes())
	s.URL = s.http.URL
	return s
}

// Close stops the server and ends requests that hang.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.http.CloseClientConnections()
		s.http.Close()
	})
}

// CloseIdleConnections closes the connections of clients on which no request is
// under way.
func (s *Server) CloseIdleConnections() {
	s.http.Config.SetKeepAlivesEnabled(false)
	s.http.Config.SetKeepAlivesEnabled(true)
}

// Issuer returns the issuer of the tokens and the discovery document.
func (s *Server) Issuer() string { return s.URL + "/" + PoolID }

// ClientID returns the id of the app client.
func (s *Server) ClientID() string { return s.opts.ClientID }

// Secret returns the first secret of the app client, "" for a public one.
func (s *Server) Secret() string {
	if len(s.opts.Secrets) == 0 {
		return ""
	}
	return s.opts.Secrets[0]
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern, endpoint string, h http.HandlerFunc) { mux.Handle(pattern, s.instrument(endpoint, h)) }
	handle("GET /"+PoolID+"/.well-known/openid-configuration", Discovery, s.discovery)
	handle("GET /"+PoolID+"/.well-known/jwks.json", JWKS, s.jwks)
	handle("GET /oauth2/authorize", Authorize, s.authorize)
	handle("GET /login", Authorize, s.authorize)
	handle("GET /signup", Authorize, s.authorize)
	handle("GET /forgotPassword", Authorize, s.authorize)
	handle("POST /login", Authorize, s.submitLogin)
	handle("GET /passkeys/add", "passkeys", s.passkeys)
	handle("GET /error", "error", errorPage)
	handle("POST /oauth2/token", TokenAny, s.token)
	handle("POST /oauth2/revoke", Revoke, s.revoke)
	handle("GET /oauth2/userInfo", UserInfo, s.userInfo)
	handle("POST /oauth2/userInfo", UserInfo, s.userInfo)
	handle("GET /logout", Logout, s.logout)
	handle("POST /{$}", API, s.api)
	handle("GET /session/end", EndSession, s.endSession)
	handle("/elsewhere", Elsewhere, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, map[string]any{}) })
	return mux
}

// maxForm limits the size of a request's body.
const maxForm = 1 << 20

// instrument counts and records each request, then answers it with the outage or, if
// there is none, with the endpoint's handler. It reads the body first, because net/http
// notices only then that a client has closed the connection.
func (s *Server) instrument(endpoint string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		_ = r.ParseForm() // of a malformed form the endpoint misses parameters
		names := []string{endpoint}
		if endpoint == TokenAny {
			names = append(names, tokenEndpointName(r.PostForm.Get("grant_type")))
		}
		w.Header().Set("X-Amz-Cognito-Request-Id", uuidFrom(s.random))
		if o := s.recordRequest(r, names); o != nil {
			o.serve(s, w, r, h)
			return
		}
		h(w, r)
	})
}

func tokenEndpointName(grantType string) string {
	switch grantType {
	case "authorization_code":
		return TokenCode
	case "refresh_token":
		return TokenRefresh
	}
	return "token.other"
}

// recordRequest counts and records a request and returns its outage, or nil. An outage
// of one grant type takes precedence over one of the whole token endpoint.
func (s *Server) recordRequest(r *http.Request, names []string) *Outage {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.counts[name]++
		s.last[name] = request{form: cloneForm(r.Form), header: r.Header.Clone()}
	}
	close(s.changed)
	s.changed = make(chan struct{})
	if s.overQuota(names[0]) {
		s.counts[names[0]+".limited"]++
		o := RateExceeded()
		if names[0] == API {
			o = APIError("TooManyRequestsException", "Too many requests")
		}
		return &o
	}
	for _, name := range slices.Backward(names) {
		if b := s.broken[name]; b != nil {
			if b.left--; b.left == 0 {
				delete(s.broken, name)
			}
			return &b.outage
		}
	}
	return nil
}

// Count returns how many requests an endpoint has received, including those in an
// outage. With the suffix ".ok", for the token endpoint, it returns how many received
// tokens. With the suffix ".limited" it returns how many exceeded [Options.MaxRPS].
func (s *Server) Count(endpoint string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[endpoint]
}

// Await returns when an endpoint has received at least n requests in total. It fails
// the test after [testkit.Deadline].
func (s *Server) Await(tb testing.TB, endpoint string, n int) {
	tb.Helper()
	deadline := time.NewTimer(testkit.Deadline)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		count, changed := s.counts[endpoint], s.changed
		s.mu.Unlock()
		if count >= n {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			tb.Fatalf("%d of %d requests arrived at %s in %s", count, n, endpoint, testkit.Deadline)
		}
	}
}

// LastForm returns the query and body parameters of the latest request to an endpoint,
// or nil if there was none.
func (s *Server) LastForm(endpoint string) url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cloneForm(s.last[endpoint].form)
}

// LastHeader returns the header of the latest request to an endpoint.
func (s *Server) LastHeader(endpoint string) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[endpoint].header.Clone()
}

// AllowCallback registers further callback URLs, for apps whose port is known only
// after the start of the pool.
func (s *Server) AllowCallback(urls ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callbacks = append(s.callbacks, urls...)
}

// AllowLogout registers further sign-out URLs.
func (s *Server) AllowLogout(urls ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logouts = append(s.logouts, urls...)
}

// RotateKeys replaces both keys. The JWKS then contains only the new ones.
func (s *Server) RotateKeys() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
	s.keys = newKeyPair(s.generation, s.opts.SingleKey)
}

func (s *Server) now() time.Time { return s.opts.Clock() }

func cloneForm(form url.Values) url.Values {
	if form == nil {
		return nil
	}
	out := make(url.Values, len(form))
	for k, v := range form {
		out[k] = slices.Clone(v)
	}
	return out
}

// describe lists the names of parameters, without their values, for an error page.
func describe(form url.Values) string {
	names := make([]string, 0, len(form))
	for k := range form {
		names = append(names, k)
	}
	slices.SortFunc(names, cmp.Compare)
	return fmt.Sprintf("parameters: %s", strings.Join(names, " "))
}

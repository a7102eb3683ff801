package cognitotest

import (
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
)

// Outage is what an endpoint does instead of its work. The zero Outage is not
// usable; take one from [Outages] or from a constructor.
type Outage struct {
	Name string
	// EndsSession is set where such an answer to a refresh means that the refresh
	// token is no longer good (invalid_grant, RFC 6749 §5.2). After all other outages
	// of the token endpoint the session must be kept.
	EndsSession bool
	// MayAccept says that a client may take the answer all the same.
	MayAccept bool
	// Hangs says that the answer never comes: the client needs a deadline.
	Hangs bool
	// Limits says that the provider refused to look at the request, so that a
	// client may send it again.
	Limits bool

	serve func(s *Server, w http.ResponseWriter, r *http.Request, h http.HandlerFunc)
}

type breakage struct {
	outage Outage
	left   int // requests until it is over; never reaches 0 if it began at 0
}

// Break lets the endpoint answer its next times requests with the outage; 0
// means until [Server.Mend]. A later Break of the same endpoint replaces it.
func (s *Server) Break(endpoint string, o Outage, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[endpoint] = &breakage{outage: o, left: times}
}

// Mend ends what [Server.Break] began. Requests that already hang go on hanging.
func (s *Server) Mend(endpoint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.broken, endpoint)
}

// Outages is every way to fail that leaves no usable answer, for any endpoint.
//
//nolint:gochecknoglobals // a table that tests range over
var Outages = []Outage{
	Hang(),
	Reset(),
	Text("html-200", http.StatusOK, "text/html", "<html><body>Sign in "+Canary+"</body></html>"),
	Text("html-500", http.StatusInternalServerError, "text/html", "<html><body>Internal Server Error "+Canary+"</body></html>"),
	Text("html-502", http.StatusBadGateway, "text/html", "<html><body>Bad Gateway "+Canary+"</body></html>"),
	RateExceeded(),
	Text("json-500", http.StatusInternalServerError, "application/json", `{"error":"server_error","error_description":"`+Canary+`"}`),
	Text("json-503", http.StatusServiceUnavailable, "application/json", `{"message":"Service Unavailable `+Canary+`"}`),
	Text("waf-403", http.StatusForbidden, "application/json", `{"__type":"ForbiddenException","message":"Request not allowed due to WAF block. `+Canary+`"}`),
	Text("empty-200", http.StatusOK, "application/json", ""),
	Text("json-null", http.StatusOK, "application/json", "null"),
	Text("json-array", http.StatusOK, "application/json", `["`+Canary+`"]`),
	Truncated(),
	CutOff(),
	Oversize(),
	Redirected(),
}

// TokenOutages is what only the token endpoint does: OAuth refusals and answers
// with a part missing or wrong.
//
//nolint:gochecknoglobals // a table that tests range over
var TokenOutages = []Outage{
	OAuthError("invalid_grant"),
	OAuthError("invalid_client"),
	OAuthError("invalid_request"),
	OAuthError("unauthorized_client"),
	OAuthError("unsupported_grant_type"),
	OAuthError("temporarily_unavailable"),
	EditJSON("missing-access-token", without("access_token")),
	EditJSON("empty-access-token", with("access_token", "")),
	EditJSON("numeric-access-token", with("access_token", 42)),
	EditJSON("wrong-token-type", with("token_type", "mac")),
	EditJSON("missing-token-type", without("token_type")),
	lenient(EditJSON("missing-expires-in", without("expires_in"))),
	lenient(EditJSON("negative-expires-in", with("expires_in", -1))),
	lenient(EditJSON("string-expires-in", with("expires_in", "3600"))),
	lenient(EditJSON("huge-expires-in", with("expires_in", 1e30))),
	EditJSON("invalid-grant-with-200", func(body map[string]any) {
		clear(body)
		body["error"], body["error_description"] = "invalid_grant", Canary
	}),
}

// Text answers with a fixed body.
func Text(name string, status int, contentType, body string) Outage {
	return Outage{Name: name, serve: func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}}
}

// RateExceeded is what Cognito answers over its quota: 429 with plain text.
func RateExceeded() Outage {
	o := Text("rate-exceeded-429", http.StatusTooManyRequests, "text/plain", "Rate exceeded "+Canary)
	o.Limits = true
	return o
}

// OAuthError refuses as Cognito does: 400, an error code and text of its own.
func OAuthError(code string) Outage {
	o := Text(code, http.StatusBadRequest, "application/json", string(mustJSON(oauthError{Code: code, Description: Canary})))
	o.EndsSession = code == "invalid_grant"
	return o
}

// Hang never answers: it ends when the client gives up or the server closes.
func Hang() Outage {
	return Outage{Name: "hang", Hangs: true, serve: func(s *Server, _ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		panic(http.ErrAbortHandler)
	}}
}

// Reset drops the connection with a TCP reset.
func Reset() Outage {
	return Outage{Name: "connection-reset", serve: func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}}
}

// Delay does the endpoint's work after d of real time: latency for benchmarks.
// Tests take a [Gate].
func Delay(d time.Duration) Outage {
	return Outage{Name: "delay", serve: func(s *Server, w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
		select {
		case <-time.After(d):
			h(w, r)
		case <-r.Context().Done():
		case <-s.closed:
		}
	}}
}

// Truncated is the right JSON answer up to its middle, complete as HTTP.
func Truncated() Outage {
	return rewrite("truncated-json", func(body []byte) []byte { return body[:len(body)/2] })
}

// Oversize is a right JSON answer with 2 MiB in front: only a bound on the read
// refuses it.
func Oversize() Outage {
	return rewrite("oversize", func(body []byte) []byte {
		filler := []byte(`{"filler":"` + strings.Repeat("x", 2<<20) + `",`)
		return append(filler, bytes.TrimPrefix(body, []byte("{"))...)
	})
}

// CutOff announces the whole answer and closes the connection in its middle.
func CutOff() Outage {
	return Outage{Name: "cut-off", serve: func(_ *Server, w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
		rec := httptest.NewRecorder()
		h(rec, r)
		copyHeader(w, rec)
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}
}

// Redirected answers 307 to [Elsewhere]: a client that follows sends its secret
// and its refresh token there, which Count(Elsewhere) shows.
func Redirected() Outage {
	return Outage{Name: "redirect-307", serve: func(s *Server, w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		http.Redirect(w, r, s.URL+"/elsewhere", http.StatusTemporaryRedirect)
	}}
}

// EditJSON lets the endpoint work and edit change its JSON answer.
func EditJSON(name string, edit func(body map[string]any)) Outage {
	return rewrite(name, func(raw []byte) []byte {
		var body map[string]any
		if json.Unmarshal(raw, &body) != nil {
			return raw
		}
		edit(body)
		return mustJSON(body)
	})
}

func lenient(o Outage) Outage {
	o.MayAccept = true
	return o
}

func with(key string, value any) func(map[string]any) {
	return func(body map[string]any) { body[key] = value }
}

func without(key string) func(map[string]any) {
	return func(body map[string]any) { delete(body, key) }
}

func rewrite(name string, change func([]byte) []byte) Outage {
	return Outage{Name: name, serve: func(_ *Server, w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
		rec := httptest.NewRecorder()
		h(rec, r)
		copyHeader(w, rec)
		w.WriteHeader(rec.Code)
		_, _ = w.Write(change(rec.Body.Bytes()))
	}}
}

func copyHeader(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), rec.Header())
}

// Gate holds requests of an endpoint until the test lets them go on.
type Gate struct {
	arrived chan struct{}
	open    chan struct{}
	once    sync.Once
}

// Hold puts a gate before the endpoint: each request waits there, then is
// answered as usual. After [Gate.Open] nothing waits any more.
func (s *Server) Hold(endpoint string) *Gate {
	g := &Gate{arrived: make(chan struct{}, 10_000), open: make(chan struct{})}
	s.Break(endpoint, Outage{Name: "gate", Hangs: true, serve: func(s *Server, w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
		g.arrived <- struct{}{}
		select {
		case <-g.open:
			h(w, r)
		case <-r.Context().Done():
		case <-s.closed:
		}
	}}, 0)
	return g
}

// Await returns when n more requests have come to the gate; it fails the test
// after [testkit.Deadline].
func (g *Gate) Await(tb testing.TB, n int) {
	tb.Helper()
	deadline := time.NewTimer(testkit.Deadline)
	defer deadline.Stop()
	for i := range n {
		select {
		case <-g.arrived:
		case <-deadline.C:
			tb.Fatalf("%d of %d requests came to the gate in %s", i, n, testkit.Deadline)
		}
	}
}

// Open lets every request pass, those that wait and those to come.
func (g *Gate) Open() { g.once.Do(func() { close(g.open) }) }

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

// Outage is a way in which an endpoint fails. The zero Outage is not usable; use one
// of [Outages] or a constructor.
type Outage struct {
	Name string
	// EndsSession is set if the answer to a refresh means that the refresh token is no
	// longer valid (invalid_grant, RFC 6749 §5.2). The session must survive all other
	// outages of the token endpoint.
	EndsSession bool
	// MayAccept is set if a client may nevertheless accept the answer.
	MayAccept bool
	// Hangs is set if there is never an answer, so that the client needs a deadline.
	Hangs bool
	// Limits is set if the provider did not process the request because of a rate limit,
	// so that the client may send it again.
	Limits bool

	serve func(s *Server, w http.ResponseWriter, r *http.Request, h http.HandlerFunc)
}

type activeOutage struct {
	outage Outage
	left   int // number of requests until it ends; not limited if it started at 0
}

// Break makes the endpoint answer its next requests, as many as times, with the
// outage; 0 means until [Server.Mend]. A later Break of the same endpoint replaces it.
func (s *Server) Break(endpoint string, o Outage, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[endpoint] = &activeOutage{outage: o, left: times}
}

// Mend ends an outage that [Server.Break] started. It does not release requests that
// already hang.
func (s *Server) Mend(endpoint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.broken, endpoint)
}

// Outages are the failures of any endpoint after which there is no usable answer.
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

// TokenOutages are failures of the token endpoint: OAuth errors, and answers with a
// missing or wrong member.
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

// Text returns an outage that answers with a fixed body.
func Text(name string, status int, contentType, body string) Outage {
	return Outage{Name: name, serve: func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}}
}

// RateExceeded returns an outage that answers like Cognito when a quota is exceeded:
// with status 429 and plain text.
func RateExceeded() Outage {
	o := Text("rate-exceeded-429", http.StatusTooManyRequests, "text/plain", "Rate exceeded "+Canary)
	o.Limits = true
	return o
}

// OAuthError returns an outage that answers like Cognito's token endpoint: with status
// 400, the error code, and a text of the provider.
func OAuthError(code string) Outage {
	o := Text(code, http.StatusBadRequest, "application/json", string(mustJSON(oauthError{Code: code, Description: Canary})))
	o.EndsSession = code == "invalid_grant"
	return o
}

// Hang returns an outage that never answers. It ends when the client closes the
// connection or the server is closed.
func Hang() Outage {
	return Outage{Name: "hang", Hangs: true, serve: func(s *Server, _ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		select {
		case <-r.Context().Done():
		case <-s.closing(r):
		}
		panic(http.ErrAbortHandler)
	}}
}

// Reset returns an outage that ends the connection with a TCP reset.
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

// Delay returns an outage that answers as usual after d of real time. It is the
// latency of benchmarks; tests use a [Gate].
func Delay(d time.Duration) Outage {
	return Outage{Name: "delay", serve: func(s *Server, w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
		select {
		case <-time.After(d):
			h(w, r)
		case <-r.Context().Done():
		case <-s.closing(r):
		}
	}}
}

// Truncated returns an outage that answers with the first half of the usual JSON, in a
// complete HTTP response.
func Truncated() Outage {
	return rewrite("truncated-json", func(body []byte) []byte { return body[:len(body)/2] })
}

// Oversize returns an outage that answers with the usual JSON after 2 MiB of filler.
// Only a client that limits how much it reads refuses it.
func Oversize() Outage {
	return rewrite("oversize", func(body []byte) []byte {
		filler := []byte(`{"filler":"` + strings.Repeat("x", 2<<20) + `",`)
		return append(filler, bytes.TrimPrefix(body, []byte("{"))...)
	})
}

// CutOff returns an outage that closes the connection in the middle of the body.
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

// Redirected returns an outage that answers with a 307 to [Elsewhere]. A client that
// follows it sends its secret and its refresh token there, which Count(Elsewhere)
// reveals.
func Redirected() Outage {
	return Outage{Name: "redirect-307", serve: func(s *Server, w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		http.Redirect(w, r, s.URL+"/elsewhere", http.StatusTemporaryRedirect)
	}}
}

// EditJSON returns an outage that answers as usual, after edit has changed the JSON.
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

// Gate delays the requests to an endpoint until the test opens it.
type Gate struct {
	arrived chan struct{}
	open    chan struct{}
	once    sync.Once
}

// Hold puts a gate before the endpoint. Every request waits there until [Gate.Open] and
// is then answered as usual.
func (s *Server) Hold(endpoint string) *Gate {
	g := &Gate{arrived: make(chan struct{}, 10_000), open: make(chan struct{})}
	s.Break(endpoint, Outage{Name: "gate", Hangs: true, serve: func(s *Server, w http.ResponseWriter, r *http.Request, h http.HandlerFunc) {
		g.arrived <- struct{}{}
		select {
		case <-g.open:
			h(w, r)
		case <-r.Context().Done():
		case <-s.closing(r):
		}
	}}, 0)
	return g
}

// Await returns when n more requests have arrived at the gate. It fails the test after
// [testkit.Deadline].
func (g *Gate) Await(tb testing.TB, n int) {
	tb.Helper()
	deadline := time.NewTimer(testkit.Deadline)
	defer deadline.Stop()
	for i := range n {
		select {
		case <-g.arrived:
		case <-deadline.C:
			tb.Fatalf("%d of %d requests arrived at the gate in %s", i, n, testkit.Deadline)
		}
	}
}

// Open lets all requests pass: those that wait, and later ones.
func (g *Gate) Open() { g.once.Do(func() { close(g.open) }) }

package oauthproxy_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/tracing"
	"cognito-token-handler/tokenhandler/web"
)

const (
	publicOrigin  = "https://app.example.com"
	allowedOrigin = "https://admin.example.com"
	accessToken   = "the-access-token"
	idToken       = "the-id-token"
	sessionCookie = "__Host-Http-session=renewed; Path=/; Secure; HttpOnly"
	within        = testkit.Deadline
)

// received is a request as an upstream received it.
type received struct {
	*http.Request

	body []byte
}

// upstream is an API that records the requests that it receives.
type upstream struct {
	*httptest.Server

	mu       sync.Mutex
	received []received
}

// newUpstream starts an API that responds with respond, or with 200 if that is nil.
func newUpstream(tb testing.TB, respond http.HandlerFunc) *upstream {
	tb.Helper()
	u := &upstream{}
	u.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := received{Request: r}
		if respond == nil {
			request.body, _ = io.ReadAll(r.Body)
		}
		u.mu.Lock()
		u.received = append(u.received, request)
		u.mu.Unlock()
		if respond != nil {
			respond(w, r)
		}
	}))
	u.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	u.Config.Protocols = new(http.Protocols)
	u.Config.Protocols.SetHTTP1(true)
	u.Config.Protocols.SetUnencryptedHTTP2(true)
	u.Start()
	tb.Cleanup(u.Close)
	return u
}

func (u *upstream) requests() []received {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.received
}

// last returns the only request that the upstream has received since the last call.
func (u *upstream) last(t *testing.T) received {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.received) != 1 {
		t.Fatalf("the upstream saw %d requests, want 1", len(u.received))
	}
	request := u.received[0]
	u.received = nil
	return request
}

// rawUpstream starts an API that responds to the first request of a connection with text,
// as it is, and closes the connection.
func rawUpstream(t *testing.T, text string) string {
	t.Helper()
	return tcpServer(t, func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(conn, text)
	})
}

func tcpServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// proxy is a server with the handler under test.
type proxy struct {
	*httptest.Server

	handler  *oauthproxy.Handler
	tokens   *tokens
	registry *prometheus.Registry
	log      *testkit.Log
}

// api returns a route from /api/ to upstream, with generous limits.
func api(tb testing.TB, upstream string) oauthproxy.Route {
	tb.Helper()
	return oauthproxy.Route{Path: "/api/", Upstream: testkit.MustURL(tb, upstream), Timeout: within, MaxBody: 1 << 30}
}

func newProxy(tb testing.TB, routes ...oauthproxy.Route) *proxy {
	tb.Helper()
	return newTracedProxy(tb, nil, routes...)
}

// newTracedProxy returns a proxy that makes spans.
func newTracedProxy(tb testing.TB, tracer *tracing.Tracer, routes ...oauthproxy.Route) *proxy {
	tb.Helper()
	p := newUnstartedProxy(tb, tracer, routes...)
	p.Start()
	tb.Cleanup(p.Close)
	return p
}

// newHTTP2Proxy returns a proxy that speaks HTTP/2 over TLS, with which the bodies of a
// request and its response can be sent at the same time.
func newHTTP2Proxy(tb testing.TB, routes ...oauthproxy.Route) *proxy {
	tb.Helper()
	p := newUnstartedProxy(tb, nil, routes...)
	p.EnableHTTP2 = true
	p.StartTLS()
	tb.Cleanup(p.Close)
	return p
}

func newUnstartedProxy(tb testing.TB, tracer *tracing.Tracer, routes ...oauthproxy.Route) *proxy {
	tb.Helper()
	return newLimitedProxy(tb, oauthproxy.Limits{}, tracer, routes...)
}

// newLimitedProxy returns a proxy, not started, that bounds what a session may have under way.
func newLimitedProxy(tb testing.TB, limits oauthproxy.Limits, tracer *tracing.Tracer, routes ...oauthproxy.Route) *proxy {
	tb.Helper()
	p := &proxy{tokens: &tokens{cookie: sessionCookie}, registry: prometheus.NewRegistry(), log: &testkit.Log{}}
	log := p.log.Logger()
	site := web.NewSite(web.Config{
		PublicURL: testkit.MustURL(tb, publicOrigin), AllowedOrigins: []string{allowedOrigin},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		LoginURL:       "/auth/login", Log: log, Now: time.Now, Tracer: tracer,
	})
	p.handler = oauthproxy.New(oauthproxy.Config{
		Routes: routes, Limits: limits, Site: site, Tokens: p.tokens, Log: log, Metrics: oauthproxy.NewMetrics(p.registry), Tracer: tracer,
		OurCookie: isOurs,
	})
	p.Server = httptest.NewUnstartedServer(nil)
	p.Config = web.NewServer(site.Instrument(site.Deadlines(p.handler)), log)
	return p
}

// isOurs knows the names of the service's cookies, to the byte.
func isOurs(name string) bool {
	ours := []string{"__Host-Http-session", "__Host-Http-session.1", "__Host-Http-active"}
	return slices.Contains(ours, name) || strings.HasPrefix(name, "__Host-Http-login-")
}

// request returns a request of the app, with pairs of header names and values.
func (p *proxy) request(t *testing.T, method, target string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.URL+target, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
	}
	return r
}

// answer is a complete response.
type answer struct {
	*http.Response

	body string
}

func (p *proxy) do(t *testing.T, r *http.Request) answer {
	t.Helper()
	response, err := p.Client().Transport.RoundTrip(r) //nolint:bodyclose // readAnswer does
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, response)
}

func readAnswer(t *testing.T, response *http.Response) answer {
	t.Helper()
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return answer{response, string(body)}
}

func (p *proxy) get(t *testing.T, target string, header ...string) answer {
	t.Helper()
	return p.do(t, p.request(t, http.MethodGet, target, http.NoBody, header...))
}

// conn opens a TCP connection to the proxy, for requests that net/http's client does not
// send.
func (p *proxy) conn(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(within))
	return conn
}

// raw sends a request line and header lines as they are, and reads the response.
func (p *proxy) raw(t *testing.T, line string, header ...string) answer {
	t.Helper()
	return p.rawBody(t, "", append([]string{line, "Host: app.example.com", "Connection: close", "Sec-Fetch-Site: same-origin"}, header...)...)
}

func (p *proxy) rawBody(t *testing.T, body string, lines ...string) answer {
	t.Helper()
	conn := p.conn(t)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(lines[0], " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method}) //nolint:bodyclose // readAnswer does
	if err != nil {
		t.Fatalf("%q: %v", lines[0], err)
	}
	return readAnswer(t, response)
}

// wantProblem asserts that a is the error response with this status and code.
func wantProblem(t *testing.T, a answer, status int, code string) {
	t.Helper()
	testkit.WantProblem(t, testkit.Answer{Status: a.StatusCode, Header: a.Header, Body: []byte(a.body)}, status, code)
}

// wantCookie asserts that only our cookie is set, and that no cache may store the
// response.
func wantCookie(t *testing.T, a answer) {
	t.Helper()
	if got := a.Header.Values("Set-Cookie"); len(got) != 1 || got[0] != sessionCookie {
		t.Errorf("Set-Cookie %q", got)
	}
	if got := a.Header.Values("Cache-Control"); len(got) != 1 || got[0] != "no-store" {
		t.Errorf("Cache-Control %q beside our cookie", got)
	}
}

// serveDirectly serves r without a connection, so that the test can choose the peer's
// address.
func serveDirectly(p *proxy, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	p.Config.Handler.ServeHTTP(rec, r)
	return rec
}

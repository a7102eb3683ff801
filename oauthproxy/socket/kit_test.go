package socket_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/oauthproxy/socket"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

const (
	publicOrigin = "https://app.example.com"
	// RFC 6455 §1.3 has this key and its answer.
	key    = "dGhlIHNhbXBsZSBub25jZQ=="
	accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func newSite() *web.Site {
	return web.NewSite(web.Config{
		PublicURL: &url.URL{Scheme: "https", Host: "app.example.com"}, AllowedOrigins: []string{"https://admin.example.com"},
		LoginURL: testkit.LoginURL, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
}

// proxy is a server that does nothing but proxy WebSockets to one upstream. It runs in
// a synctest bubble: all connections are pipes, and its time-outs take no real time.
type proxy struct {
	listener *testkit.PipeListener
	metrics  *socket.Metrics
	// opened receives each WebSocket that begins.
	opened chan *socket.Conn
}

// upstream is an API: it serves the connections of a listener until that is closed.
type upstream func(net.Listener)

// newProxy returns a proxy in front of api.
func newProxy(t *testing.T, api upstream) *proxy {
	t.Helper()
	site, network := newSite(), testkit.NewPipeListener()
	p := &proxy{listener: testkit.NewPipeListener(), metrics: socket.NewMetrics(nil), opened: make(chan *socket.Conn, 1000)}
	transport := &http.Transport{DialContext: network.DialContext}
	server := web.NewServer(site.Handle(func(w http.ResponseWriter, r *http.Request) error {
		if err := socket.CheckHandshake(site, r); err != nil {
			return err
		}
		return p.serve(w, r, transport.RoundTrip)
	}), slog.New(slog.DiscardHandler))
	go api(network)
	go func() { _ = server.Serve(p.listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		_ = network.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// serve is what oauthproxy does, without sessions and routes.
func (p *proxy) serve(w http.ResponseWriter, r *http.Request, send func(*http.Request) (*http.Response, error)) error {
	out := r.Clone(r.Context())
	out.URL = &url.URL{Scheme: "http", Host: "api.example.com", Path: r.URL.Path}
	out.Body = nil
	upstream, response, err := socket.Connect(out, send)
	if err != nil {
		return web.NewProblem(web.CodeUpstreamError, "the API could not be reached", err)
	}
	if response != nil {
		defer func() { _ = response.Body.Close() }()
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
		return nil
	}
	defer upstream.Close()
	conn, err := upstream.Accept(w, time.Now, p.metrics, "/api/")
	if err == nil {
		p.opened <- conn
		conn.Run()
	}
	return nil
}

// handler is an API that is served by net/http.
func handler(h http.HandlerFunc) upstream {
	return func(l net.Listener) {
		server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
		_ = server.Serve(l)
	}
}

// raw is an API that answers each handshake with response and then calls serve, which
// may be nil.
func raw(response string, serve func(net.Conn)) upstream {
	return func(l net.Listener) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					return
				}
				_, _ = io.WriteString(conn, response)
				if serve != nil {
					serve(conn)
				}
			}()
		}
	}
}

// accepted is the response to a handshake with key.
const accepted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n"

// echo sends every message back until the client closes. Then it sends the reason to
// closed, unless that is nil.
func echo(closed chan<- error) upstream {
	return handler(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			InsecureSkipVerify: true, Subprotocols: []string{"chat.v2", "chat.v1"}, CompressionMode: websocket.CompressionContextTakeover,
		})
		if err != nil {
			return // Accept has answered
		}
		defer func() { _ = conn.CloseNow() }()
		conn.SetReadLimit(-1)
		for {
			kind, message, err := conn.Read(r.Context())
			if err == nil {
				err = conn.Write(r.Context(), kind, message)
			}
			if err != nil {
				if closed != nil {
					closed <- err
				}
				return
			}
		}
	})
}

// dial opens a WebSocket from the app's origin.
func (p *proxy) dial(t *testing.T, subprotocols ...string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "http://app.example.com/api/socket", &websocket.DialOptions{ //nolint:bodyclose // it is the WebSocket
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: p.listener.DialContext}},
		HTTPHeader: http.Header{"Origin": {publicOrigin}}, Subprotocols: subprotocols, CompressionMode: websocket.CompressionContextTakeover,
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// handshake returns a valid handshake.
func handshake() string {
	return "GET /api/socket HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\nOrigin: " + publicOrigin + "\r\n\r\n"
}

// rawClient is a client that reads and writes bytes and not messages.
type rawClient struct {
	net.Conn

	r        *bufio.Reader
	response *http.Response
}

// handshake sends a valid handshake, with frames behind it, and reads the response.
func (p *proxy) handshake(t *testing.T, frames ...byte) *rawClient {
	t.Helper()
	conn, err := p.listener.DialContext(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() { _, _ = conn.Write(append([]byte(handshake()), frames...)) }()
	c := &rawClient{Conn: conn, r: bufio.NewReader(conn)}
	if c.response, err = http.ReadResponse(c.r, nil); err != nil { //nolint:bodyclose // closed below
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.response.Body.Close() })
	return c
}

// open returns how many WebSockets are open.
func (p *proxy) open() float64 { return testutil.ToFloat64(p.metrics.Open) }

// bytes returns how many bytes were forwarded in a direction.
func (p *proxy) bytes(direction string) float64 {
	return testutil.ToFloat64(p.metrics.Bytes.With(prometheus.Labels{"route": "/api/", "direction": direction}))
}

// closeReason returns the code and the reason of a close frame, or the error.
func closeReason(err error) string {
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		return fmt.Sprintf("%d %s", closed.Code, closed.Reason)
	}
	return fmt.Sprint(err)
}

package oauthproxy_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/test/testkit"
)

// protocol is the protocol in which a test's client and upstream speak to the proxy.
type protocol struct {
	newProxy func(testing.TB, ...oauthproxy.Route) *proxy
	scheme   string // of the upstream
	isHTTP2  bool
	// anonymous opens the route to requests without a session.
	anonymous bool
	// peer is the client's address. Connections in memory have none.
	peer string
	// limits bound each session.
	limits oauthproxy.Limits
	// replayBody is the route's.
	replayBody int64
}

var (
	overHTTP1 = protocol{newProxy: newProxy, scheme: "http"}
	overHTTP2 = protocol{newProxy: newHTTP2Proxy, scheme: "h2c", isHTTP2: true}
	protocols = map[string]protocol{"HTTP/1": overHTTP1, "HTTP/2": overHTTP2}
)

// inMemory returns a proxy in front of api whose connections, to the client and to
// api, are in memory. It runs in a synctest bubble, so that its time-outs take no real
// time. timeout is the route's.
func (p protocol) inMemory(t *testing.T, timeout time.Duration, api http.HandlerFunc) *proxy {
	t.Helper()
	toAPI, toProxy := testkit.NewPipeListener(), testkit.NewPipeListener()
	upstream := &http.Server{Handler: api, ReadHeaderTimeout: time.Minute, Protocols: new(http.Protocols), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	upstream.Protocols.SetHTTP1(true)
	upstream.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = upstream.Serve(toAPI) }()
	served := newLimitedProxy(t, p.limits, nil, oauthproxy.Route{
		Path: "/api/", Upstream: testkit.MustURL(t, p.scheme+"://api.example.com"), Timeout: timeout, MaxBody: 1 << 30, Anonymous: p.anonymous, WebSocket: true, ReplayBody: p.replayBody,
	})
	served.handler.DialUpstreams(toAPI.DialContext)
	if p.peer != "" {
		next := served.Config.Handler
		served.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = p.peer
			next.ServeHTTP(w, r)
		})
	}
	_ = served.Listener.Close()
	served.Listener, served.EnableHTTP2 = toProxy, p.isHTTP2
	if p.isHTTP2 {
		served.StartTLS()
	} else {
		served.Start()
	}
	if transport, ok := served.Client().Transport.(*http.Transport); ok {
		transport.DialContext = toProxy.DialContext
		if p.isHTTP2 {
			transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "example.com"}
		}
	}
	t.Cleanup(func() {
		served.Close()
		_ = upstream.Close()
	})
	return served
}

package oauthproxy_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/test/testkit"
)

// describeRequest responds with a description of the request.
func describeRequest(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = io.WriteString(w, strings.Join([]string{r.Proto, r.Host, r.URL.String(), r.Header.Get("Authorization"), string(body)}, " "))
}

func TestUpstreamOverHTTP2WithoutTLS(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(describeRequest))
	up.Config.Protocols = new(http.Protocols)
	up.Config.Protocols.SetUnencryptedHTTP2(true) // HTTP/1 is refused
	up.Start()
	t.Cleanup(up.Close)
	host := testkit.MustURL(t, up.URL).Host
	p := newProxy(t, api(t, "h2c://"+host+"/v1"))
	got := p.do(t, p.request(t, http.MethodPost, "/api/x?y=1", strings.NewReader("body")))
	if want := "HTTP/2.0 " + host + " /v1/api/x?y=1 Bearer " + accessToken + " body"; got.body != want {
		t.Errorf("%d %q, want %q", got.StatusCode, got.body, want)
	}
	// With http:// the proxy does not try HTTP/2.
	plain := newProxy(t, api(t, "http://"+host))
	if got := plain.do(t, plain.request(t, http.MethodGet, "/api/x", nil)); got.StatusCode != http.StatusBadGateway {
		t.Errorf("%d %q", got.StatusCode, got.body)
	}
}

func TestUpstreamBehindASocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	up := httptest.NewUnstartedServer(http.HandlerFunc(describeRequest))
	_ = up.Listener.Close()
	up.Listener = listener
	up.Start()
	t.Cleanup(up.Close)
	for host, want := range map[string]string{"": "localhost", "api.internal:8000": "api.internal:8000"} {
		for strip, path := range map[bool]string{false: "/api/a%20b", true: "/a%20b"} {
			p := newProxy(t, oauthproxy.Route{
				Path: "/api/", Upstream: &url.URL{Scheme: "unix", Path: socket}, UpstreamHost: host, StripPrefix: strip, Timeout: within, MaxBody: 10,
			})
			got := p.do(t, p.request(t, http.MethodPut, "/api/a%20b?y=1", strings.NewReader("body")))
			if want := "HTTP/1.1 " + want + " " + path + "?y=1 Bearer " + accessToken + " body"; got.body != want {
				t.Errorf("%d %q, want %q", got.StatusCode, got.body, want)
			}
			wantCookie(t, got)
		}
	}
	up.Close()
	p := newProxy(t, oauthproxy.Route{Path: "/api/", Upstream: &url.URL{Scheme: "unix", Path: socket}, Timeout: within, MaxBody: 10})
	got := p.do(t, p.request(t, http.MethodGet, "/api/x", nil))
	wantProblem(t, got, http.StatusBadGateway, "upstream_error")
	if strings.Contains(got.body, socket) {
		t.Error("the response contains the path of the socket")
	}
}

// A route's own certificate authorities are trusted for that route only, and no others
// are trusted for it.
func TestUpstreamOfItsOwnAuthority(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(describeRequest))
	up.EnableHTTP2 = true
	up.StartTLS()
	t.Cleanup(up.Close)
	own := x509.NewCertPool()
	own.AddCert(up.Certificate())
	route := func(path, upstream string, cas *x509.CertPool) oauthproxy.Route {
		return oauthproxy.Route{Path: path, Upstream: testkit.MustURL(t, upstream), UpstreamCAs: cas, Timeout: within, MaxBody: 10}
	}
	_, port, _ := net.SplitHostPort(testkit.MustURL(t, up.URL).Host)
	p := newProxy(t,
		route("/own/", up.URL, own),
		route("/system/", up.URL, nil),
		route("/none/", up.URL, x509.NewCertPool()),
		route("/other-name/", "https://localhost:"+port, own), // the certificate is for 127.0.0.1 and example.com
	)
	for path, status := range map[string]int{"/own/": 200, "/system/": 502, "/none/": 502, "/other-name/": 502} {
		got := p.do(t, p.request(t, http.MethodGet, path, nil))
		if got.StatusCode != status || status == http.StatusOK && !strings.HasPrefix(got.body, "HTTP/2.0 ") {
			t.Errorf("%s: %d %q", path, got.StatusCode, got.body)
		}
	}
	want := map[string]float64{"kind=connect route=/system/": 1, "kind=connect route=/none/": 1, "kind=connect route=/other-name/": 1}
	if got := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); !maps.Equal(got, want) {
		t.Errorf("counted %v", got)
	}
}

// TestReplacedAuthorities: requests after a replacement use no connection that was opened
// before. One that is under way ends well.
func TestReplacedAuthorities(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own/slow" {
			close(began)
			<-goOn
		}
		describeRequest(w, r)
	}))
	up.EnableHTTP2 = true
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	up.StartTLS()
	t.Cleanup(up.Close)
	own := x509.NewCertPool()
	own.AddCert(up.Certificate())
	p := newProxy(t, oauthproxy.Route{Path: "/own/", Upstream: testkit.MustURL(t, up.URL), UpstreamCAs: own, Timeout: within, MaxBody: 10})
	want := func(what string, status int) {
		t.Helper()
		if got := p.do(t, p.request(t, http.MethodGet, "/own/x", nil)); got.StatusCode != status {
			t.Errorf("%s: %d %q", what, got.StatusCode, got.body)
		}
	}
	slow := make(chan int)
	go func() {
		slow <- p.do(t, p.request(t, http.MethodGet, "/own/slow", nil)).StatusCode
	}()
	<-began
	want("before", http.StatusOK)
	p.handler.ReplaceUpstreamCAs("/elsewhere/", x509.NewCertPool())
	want("another route's", http.StatusOK)
	p.handler.ReplaceUpstreamCAs("/own/", x509.NewCertPool())
	want("no authority", http.StatusBadGateway)
	close(goOn)
	if got := <-slow; got != http.StatusOK {
		t.Errorf("the request that was under way: %d", got)
	}
	p.handler.ReplaceUpstreamCAs("/own/", own)
	want("the authority again", http.StatusOK)
}

// Further kinds of failed connections; see TestUpstreamErrors.
func TestNoConnection(t *testing.T) {
	strict := httptest.NewUnstartedServer(http.HandlerFunc(describeRequest))
	strict.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
	strict.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	strict.StartTLS()
	t.Cleanup(strict.Close)
	own := x509.NewCertPool()
	own.AddCert(strict.Certificate())
	for name, upstream := range map[string]string{
		"socket not there":      "unix:///nowhere/api.sock",
		"no TLS there":          "https" + strings.TrimPrefix(newUpstream(t, nil).URL, "http"),
		"wants our certificate": strict.URL,
	} {
		t.Run(name, func(t *testing.T) {
			route := api(t, upstream)
			route.UpstreamCAs = own
			p := newProxy(t, route)
			wantProblem(t, p.get(t, "/api/x"), http.StatusBadGateway, "upstream_error")
			if got := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); got["kind=connect route=/api/"] != 1 {
				t.Errorf("counted %v\n%s", got, p.log)
			}
		})
	}
}

// An HTTP/2 connection can die without notice, when a machine fails or a NAT entry
// expires. Only the requests of that moment may fail, and not all that follow.
func TestDeadHTTP2ConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone []net.Conn // the upstream's ends of the connections
		defer func() {
			for _, end := range gone {
				_ = end.Close()
			}
		}()
		transport := oauthproxy.HTTP2Transport(func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			gone = append(gone, far)
			go func() { _, _ = io.Copy(io.Discard, far) }()
			return near, nil
		})
		for i := range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api.example.com/", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			answer, err := transport.RoundTrip(r)
			if err == nil {
				_ = answer.Body.Close()
			}
			cancel()
			if took := time.Since(begun); err == nil || took > time.Minute || len(gone) != i+1 {
				t.Errorf("request %d ended after %s with %v, on connection %d", i, took, err, len(gone))
			}
		}
	})
}

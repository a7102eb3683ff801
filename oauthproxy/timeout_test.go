package oauthproxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

// The time-out of a route is the time until the head of the response, to the instant, with a
// session or without.
func TestTimeoutIsExact(t *testing.T) {
	for name, err := range map[string]error{"with a session": nil, "without": errNobody} {
		for _, timeout := range []time.Duration{500 * time.Millisecond, time.Second, time.Second + 1, 10 * time.Second} {
			synctest.Test(t, func(t *testing.T) {
				protocol := overHTTP1
				protocol.anonymous = true
				p := protocol.inMemory(t, timeout, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
				p.tokens.err = err
				begun := time.Now()
				wantProblem(t, p.get(t, "/api/x"), http.StatusGatewayTimeout, "upstream_timeout")
				if took := time.Since(begun); took != timeout {
					t.Errorf("%s: it took %s of %s", name, took, timeout)
				}
			})
		}
	}
}

// A second try has the whole time-out again, and the renewal of the token does not count.
func TestSecondTryHasATimeoutOfItsOwn(t *testing.T) {
	const limit, renewal = 10 * time.Second, 20 * time.Second
	for name, c := range map[string]struct {
		first, second time.Duration
		status        int
		took          time.Duration
	}{
		"in time":               {8 * time.Second, 8 * time.Second, http.StatusOK, 36 * time.Second},
		"hangs":                 {8 * time.Second, time.Hour, http.StatusGatewayTimeout, 38 * time.Second},
		"hangs, refused early":  {0, time.Hour, http.StatusGatewayTimeout, 30 * time.Second},
		"in time, early":        {0, 9 * time.Second, http.StatusOK, 29 * time.Second},
		"the first is too slow": {11 * time.Second, 0, http.StatusGatewayTimeout, limit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := overHTTP1.inMemory(t, limit, func(w http.ResponseWriter, r *http.Request) {
					wait, status := c.second, http.StatusOK
					if r.Header.Get("Authorization") != "Bearer renewed" {
						wait, status = c.first, http.StatusUnauthorized
					}
					select {
					case <-time.After(wait):
						w.WriteHeader(status)
					case <-r.Context().Done():
					}
				})
				p.tokens.renew = func() (string, error) { time.Sleep(renewal); return "renewed", nil }
				begun := time.Now()
				if got := p.get(t, "/api/x"); got.StatusCode != c.status {
					t.Errorf("answered %d %s", got.StatusCode, got.body)
				}
				if took := time.Since(begun); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
			})
		})
	}
}

// What a request, a stream or a WebSocket held is gone when it has ended, and nobody watches
// the session of a request that was answered at once.
func TestNothingStaysOfWhatHasEnded(t *testing.T) {
	for name, protocol := range protocols {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := protocol.limited(10, 10).inMemory(t, within, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/api/events" {
						w.Header().Set("Content-Type", "text/event-stream")
						_ = http.NewResponseController(w).Flush()
						<-r.Context().Done()
					}
				})
				for range 3 {
					p.get(t, "/api/x")
				}
				time.Sleep(5 * time.Second)
				if n := p.tokens.watched.Load(); n != 0 {
					t.Errorf("%d requests that have ended watch their session", n)
				}
				stream := p.open(t, p.request(t, http.MethodGet, "/api/events", http.NoBody))
				synctest.Wait()
				if open, loads := p.handler.Held(); open != 1 || loads != 1 {
					t.Errorf("during a stream %d are open, with the load of %d", open, loads)
				}
				_ = stream.Body.Close()
				time.Sleep(5 * time.Second)
				if open, loads := p.handler.Held(); open != 0 || loads != 0 {
					t.Errorf("%d are open, with the load of %d", open, loads)
				}
			})
		})
	}
}

// A response that names no Cache-Control is stored nowhere, whatever it tells a CDN, and
// whoever asks.
func TestResponseWithoutCacheControlIsNotStored(t *testing.T) {
	up := answers(t, http.StatusOK, "CDN-Cache-Control: max-age=60", "Cloudflare-CDN-Cache-Control: max-age=60")
	route := api(t, up.URL)
	route.Anonymous = true
	for name, err := range map[string]error{"a user": nil, "nobody": web.NewProblem(web.CodeNotAuthenticated, "planned by the test", nil)} {
		p := newProxy(t, route)
		p.tokens.err, p.tokens.cookie = err, ""
		got := p.get(t, "/api/x")
		if stored := strings.Join(got.Header["Cache-Control"], "|"); stored != "no-store" {
			t.Errorf("%s: Cache-Control %q", name, stored)
		}
		for header := range got.Header {
			if strings.Contains(header, "Cdn") {
				t.Errorf("%s: %s: %q", name, header, got.Header[header])
			}
		}
	}
}

// The trailers of a response may be malformed and quote the token.
func TestMalformedTrailersAreNotLogged(t *testing.T) {
	for name, trailer := range map[string]string{"line": "Bearer inside", "at once": " inside"} {
		up := rawUpstream(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"+trailer+"\r\n\r\n")
		p := newProxy(t, api(t, up))
		response, err := p.Client().Transport.RoundTrip(p.request(t, http.MethodGet, "/api/x", http.NoBody))
		if err == nil {
			_, err = io.ReadAll(response.Body)
			_ = response.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the response ended well", name)
		}
		p.log.Wait(t, "forwarding a response body failed", 1)
		if strings.Contains(p.log.String(), "inside") {
			t.Errorf("%s: logged %s", name, p.log)
		}
	}
}

// An upstream with an authority of its own needs TLS 1.2, as any other.
func TestOldTLSIsRefused(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(describeRequest))
	up.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	up.StartTLS()
	t.Cleanup(up.Close)
	own := x509.NewCertPool()
	own.AddCert(up.Certificate())
	p := newProxy(t, oauthproxy.Route{Path: "/own/", Upstream: testkit.MustURL(t, up.URL), UpstreamCAs: own, Timeout: within, MaxBody: 10})
	wantProblem(t, p.get(t, "/own/"), http.StatusBadGateway, "upstream_error")
}

// What net/http says of a malformed response may quote it with quotation marks or without.
func TestErrorsQuoteNothing(t *testing.T) {
	for text, want := range map[string]string{
		"net/http: malformed MIME header line: Bearer inside": "net/http: malformed answer",
		`bad Content-Length "inside"`:                         "bad Content-Length …",
		"EOF":                                                 "EOF",
	} {
		if got := oauthproxy.WithoutUpstreamText(errors.New(text)).Error(); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// The label says whether a connection was opened: what stands in the way of one is the
// operator's to mend.
func TestKindsOfTransportErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"dialing":              {&net.OpError{Op: "dial", Err: io.EOF}, "connect"},
		"their alert":          {&net.OpError{Op: "remote error", Err: io.EOF}, "connect"},
		"our alert":            {&net.OpError{Op: "local error", Err: io.EOF}, "connect"},
		"reading":              {&net.OpError{Op: "read", Err: io.EOF}, "broken"},
		"reading for too long": {&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "broken"},
		"no TLS":               {tls.RecordHeaderError{}, "connect"},
		"TLS to plain HTTP":    {http.ErrSchemeMismatch, "connect"},
		"untrusted":            {&tls.CertificateVerificationError{Err: io.EOF}, "connect"},
		"handshake":            {os.ErrDeadlineExceeded, "connect"},
		"another net.Error":    {&net.DNSError{}, "broken"},
		"the end":              {io.EOF, "broken"},
	} {
		if got := oauthproxy.ErrorKind(fmt.Errorf("sending: %w", c.err)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

package oauthproxy_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/testkit"
)

func TestDeclaredBodyTooLarge(t *testing.T) {
	up := newUpstream(t, nil)
	route := api(t, up.URL)
	route.MaxBody = 10
	p := newProxy(t, route)
	r := p.request(t, http.MethodPost, "/api/x", strings.NewReader(strings.Repeat("x", 11)))
	wantProblem(t, p.do(t, r), http.StatusRequestEntityTooLarge, "too_large")
	if len(up.requests()) != 0 || p.tokens.calls.Load() != 0 {
		t.Errorf("%d requests forwarded, %d authorised", len(up.requests()), p.tokens.calls.Load())
	}
	r = p.request(t, http.MethodPost, "/api/x", strings.NewReader(strings.Repeat("x", 10)))
	if got := p.do(t, r); got.StatusCode != http.StatusOK || len(up.last(t).body) != 10 {
		t.Errorf("answered %d to a body of the limit's size", got.StatusCode)
	}
}

// Over HTTP/2 net/http takes a body's length from its frames. With a Content-Length that
// differs, the upstream would get another request than the client has sent.
func TestUntrueLengthOfHTTP2(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	for _, tt := range []struct {
		declared []string
		found    int64
		true     bool
	}{
		{nil, 0, true},
		{nil, -1, true},
		{[]string{"0"}, 0, true},
		{[]string{"2"}, 2, true},
		{[]string{"5"}, 0, false},
		{[]string{"-2"}, 0, false},
		{[]string{"+2"}, 0, false},
		{[]string{"0x2"}, 0, false},
		{[]string{""}, 0, false},
		{[]string{"-0"}, 0, false},
		{[]string{"2, 2"}, 0, false},
		{[]string{"2", "2"}, 2, false},
		{[]string{"2", "90"}, 2, false},
		{[]string{"9223372036854775808"}, 0, false},
	} {
		r := p.request(t, http.MethodPost, "/api/x", strings.NewReader(strings.Repeat("x", max(0, int(tt.found)))))
		r.RequestURI, r.ProtoMajor, r.ProtoMinor, r.ContentLength = "/api/x", 2, 0, tt.found
		r.URL.Scheme, r.URL.Host = "", ""
		r.Header["Content-Length"] = tt.declared
		got := serveDirectly(p, r)
		if tt.true {
			if got.Code != http.StatusOK {
				t.Errorf("%q: answered %d %s", tt.declared, got.Code, got.Body)
			}
			up.last(t)
			continue
		}
		if got.Code != http.StatusBadRequest || len(up.requests()) != 0 {
			t.Errorf("%q: answered %d %s", tt.declared, got.Code, got.Body)
		}
	}
}

func TestChunkedBodyTooLarge(t *testing.T) {
	for _, tt := range []struct {
		limit int64
		size  int
		fits  bool
	}{{10, 10, true}, {10, 11, false}, {0, 0, true}, {0, 1, false}, {100 << 10, 1 << 20, false}} {
		complete := make(chan bool, 1)
		up := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			complete <- err == nil
		})
		route := api(t, up.URL)
		route.MaxBody = tt.limit
		p := newProxy(t, route)
		r := p.request(t, http.MethodPost, "/api/x", io.MultiReader(strings.NewReader(strings.Repeat("x", tt.size))))
		r.ContentLength = -1
		got := p.do(t, r)
		wantCookie(t, got)
		if tt.fits {
			if got.StatusCode != http.StatusOK || !testkit.Receive(t, complete, "the upstream") {
				t.Errorf("%d of %d bytes: answered %d", tt.size, tt.limit, got.StatusCode)
			}
			continue
		}
		wantProblem(t, got, http.StatusRequestEntityTooLarge, "too_large")
		up.Close() // waits for the request, which may never have reached it
		select {
		case isComplete := <-complete:
			if isComplete {
				t.Errorf("%d of %d bytes: the upstream took a part for the whole", tt.size, tt.limit)
			}
		default:
		}
		if got := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); len(got) != 0 {
			t.Errorf("blamed on the upstream: %v", got)
		}
	}
}

func TestBrokenBody(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	got := p.rawBody(t, "2\r\nab\r\nzz\r\n", "POST /api/x HTTP/1.1", "Host: h", "Sec-Fetch-Site: same-origin", "Transfer-Encoding: chunked")
	wantProblem(t, got, http.StatusBadRequest, "invalid_request")
	wantCookie(t, got)
	if got := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); len(got) != 0 {
		t.Errorf("blamed on the upstream: %v", got)
	}
}

func TestUpstreamTimeout(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http notices the end of the connection only after the body
		<-r.Context().Done()
	}
	silent := tcpServer(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for name, upstream := range map[string]string{"hangs": newUpstream(t, hang).URL, "is silent": silent} {
		t.Run(name, func(t *testing.T) {
			route := api(t, upstream)
			route.Timeout = 50 * time.Millisecond
			p := newProxy(t, route)
			got := p.do(t, p.request(t, http.MethodPost, "/api/x", strings.NewReader("body")))
			wantProblem(t, got, http.StatusGatewayTimeout, "upstream_timeout")
			wantCookie(t, got)
			if counts := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); counts["kind=timeout route=/api/"] != 1 {
				t.Errorf("counted %v", counts)
			}
		})
	}
}

// Every part of the body restarts the time-out. Without one it ends the request.
func TestTimeoutOfAnUpload(t *testing.T) {
	const timeout = 30 * time.Second
	for pause, status := range map[time.Duration]int{timeout - 1: http.StatusOK, timeout + 1: http.StatusGatewayTimeout} {
		synctest.Test(t, func(t *testing.T) {
			p := overHTTP2.inMemory(t, timeout, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, r.Body)
			})
			body, feed := io.Pipe()
			var feeding sync.WaitGroup
			defer feeding.Wait()
			feeding.Go(func() {
				for range 8 {
					time.Sleep(pause)
					_, _ = io.WriteString(feed, "x")
				}
				_ = feed.Close()
			})
			got := p.do(t, p.request(t, http.MethodPost, "/api/x", body))
			if got.StatusCode != status || status == http.StatusOK && got.body != "xxxxxxxx" {
				t.Errorf("answered %d %s, want %d", got.StatusCode, got.body, status)
			}
		})
	}
}

// Without a session, a body that drips does not hold a connection to the upstream for hours.
func TestDrippingBody(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
	}{"with a session": {nil, http.StatusOK}, "without": {errNobody, http.StatusBadRequest}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				toAnonymous := overHTTP2
				toAnonymous.anonymous = true
				p := toAnonymous.inMemory(t, within, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
				p.tokens.err = c.err
				body, feed := io.Pipe()
				var feeding sync.WaitGroup
				defer feeding.Wait()
				feeding.Go(func() {
					for range 20 {
						time.Sleep(9 * time.Second)
						if _, err := io.WriteString(feed, "x"); err != nil {
							break
						}
					}
					_ = feed.Close()
				})
				begun := time.Now()
				got := p.do(t, p.request(t, http.MethodPost, "/api/x", body))
				if got.StatusCode != c.status || c.err != nil && time.Since(begun) > 11*time.Second {
					t.Errorf("answered %d %s after %s", got.StatusCode, got.body, time.Since(begun))
				}
			})
		})
	}
}

// The cause of a failure goes to the log only, and the upstream's own text goes nowhere.
func TestUpstreamErrors(t *testing.T) {
	untrusted := httptest.NewUnstartedServer(nil)
	untrusted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	echo := tcpServer(t, func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+r.Header.Get("Authorization")+"\r\n\r\n")
		}
	})
	plainEcho := tcpServer(t, func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			_, _ = io.WriteString(conn, r.Header.Get("Authorization")+"\r\n\r\n")
		}
	})
	for name, upstream := range map[string]string{
		"down":             "http://127.0.0.1:1",
		"no such host":     "http://upstream.invalid",
		"untrusted":        untrusted.URL,
		"not TLS":          strings.Replace(plainEcho, "http:", "https:", 1),
		"resets":           tcpServer(t, reset),
		"hangs up":         rawUpstream(t, ""),
		"half a header":    rawUpstream(t, "HTTP/1.1 200 OK\r\nContent-"),
		"garbage":          rawUpstream(t, "\x00\x01\x02garbage of the inside\r\n\r\n"),
		"SSH":              rawUpstream(t, "SSH-2.0-OpenSSH_inside\r\n"),
		"echoes in line":   plainEcho,
		"echoes in MIME":   echo,
		"echoes at once":   rawUpstream(t, "HTTP/1.1 200 OK\r\n inside\r\n\r\n"),
		"echoes as status": rawUpstream(t, "HTTP/1.1 inside OK\r\n\r\n"),
		"bad length":       rawUpstream(t, "HTTP/1.1 200 OK\r\nContent-Length: inside\r\n\r\n"),
		"two lengths":      rawUpstream(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
		"bad encoding":     rawUpstream(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: inside\r\n\r\n"),
		"huge header":      rawUpstream(t, "HTTP/1.1 200 OK\r\nX-Huge: "+strings.Repeat("x", 70<<10)+"\r\n\r\n"),
		"too many headers": rawUpstream(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-Many: y\r\n", 10<<10)+"\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, api(t, upstream))
			got := p.get(t, "/api/x?query=planted")
			wantProblem(t, got, http.StatusBadGateway, "upstream_error")
			wantCookie(t, got)
			const body = `{"type":"about:blank","title":"Bad Gateway","status":502,"code":"upstream_error",` +
				`"detail":"the API could not be reached","request_id":"`
			if !strings.HasPrefix(got.body, body) {
				t.Errorf("body %s", got.body)
			}
			counts := counted(t, p, "tokenhandler_proxy_upstream_errors_total")
			connects, breaks := counts["kind=connect route=/api/"], counts["kind=broken route=/api/"]
			connected := !slices.Contains([]string{"down", "no such host", "untrusted"}, name)
			if connects+breaks != 1 || name != "resets" && breaks == 1 != connected { // the reset may come before the connection is open
				t.Errorf("counted %v", counts)
			}
			log := p.log.String()
			for _, secret := range []string{accessToken, "planted", "garbage of", "renewed", "inside"} {
				if strings.Contains(log, secret) {
					t.Errorf("%q was logged: %s", secret, log)
				}
			}
			if !strings.Contains(log, `"error":"upstream_error: the API could not be reached: `) {
				t.Errorf("the cause was not logged: %s", log)
			}
		})
	}
}

// reset ends a connection with a TCP reset.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

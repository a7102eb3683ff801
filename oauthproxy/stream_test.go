package oauthproxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

// open sends a request and leaves the response's body to the test.
func (p *proxy) open(t *testing.T, r *http.Request) *http.Response {
	t.Helper()
	response, err := p.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func TestEventsArriveOneByOne(t *testing.T) {
	for _, contentType := range []string{"text/event-stream", "application/x-ndjson"} {
		t.Run(contentType, func(t *testing.T) {
			next := make(chan struct{})
			up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				_ = http.NewResponseController(w).Flush()
				for i := 0; ; i++ {
					if _, open := <-next; !open {
						return
					}
					_, _ = fmt.Fprintf(w, "data: %d\n", i)
					_ = http.NewResponseController(w).Flush()
				}
			})
			p := newProxy(t, api(t, up.URL))
			response := p.open(t, p.request(t, http.MethodGet, "/api/events", http.NoBody)) //nolint:bodyclose // open does; this is the header, before any event
			want := map[string]string{"text/event-stream": "no"}[contentType]               // tells nginx not to buffer
			if got := response.Header.Get("X-Accel-Buffering"); got != want {
				t.Errorf("X-Accel-Buffering %q, want %q", got, want)
			}
			lines := make(chan string)
			go func() {
				defer close(lines)
				for scan := bufio.NewScanner(response.Body); scan.Scan(); {
					lines <- scan.Text()
				}
			}()
			for i := range 5 {
				next <- struct{}{}
				if got := testkit.Receive(t, lines, "an event"); got != fmt.Sprint("data: ", i) {
					t.Errorf("got %q", got)
				}
			}
			close(next)
			if line, open := <-lines; open {
				t.Errorf("got %q after the end", line)
			}
			wantCookie(t, answer{Response: response})
		})
	}
}

// The route's time-out ends when the response begins: a stream may last longer.
func TestTimeoutEndsWithTheHeader(t *testing.T) {
	const timeout = 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		p := overHTTP2.inMemory(t, timeout, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			for scan := bufio.NewScanner(r.Body); scan.Scan(); {
				_, _ = fmt.Fprintln(w, scan.Text())
				_ = http.NewResponseController(w).Flush()
			}
			_, _ = io.WriteString(w, "end\n")
		})
		// The body is read while the response is written: that must not restart the time-out.
		body, feed := io.Pipe()
		response := p.open(t, p.request(t, http.MethodPost, "/api/x", body)) //nolint:bodyclose // open does
		_, _ = io.WriteString(feed, "begin\n")
		lines := bufio.NewReader(response.Body)
		if line, err := lines.ReadString('\n'); line != "begin\n" {
			t.Fatalf("read %q, %v", line, err)
		}
		time.Sleep(2 * timeout)
		_ = feed.Close()
		if line, err := lines.ReadString('\n'); line != "end\n" {
			t.Errorf("read %q, %v", line, err)
		}
	})
}

// The upstream can read the first part of a body before the client has sent the rest.
func TestUploadIsNotBuffered(t *testing.T) {
	first, rest := make(chan string, 1), make(chan int64, 1)
	up := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 5)
		_, _ = io.ReadFull(r.Body, buf)
		first <- string(buf)
		n, _ := io.Copy(io.Discard, r.Body)
		rest <- n
	})
	p := newProxy(t, api(t, up.URL))
	for name, length := range map[string]int64{"chunked": -1, "with a length": 5 + 1<<20} {
		t.Run(name, func(t *testing.T) {
			body, feed := io.Pipe()
			r := p.request(t, http.MethodPost, "/api/x", body)
			r.ContentLength = length
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = io.WriteString(feed, "first")
				if got := testkit.Receive(t, first, "the first bytes at the upstream"); got != "first" {
					t.Errorf("the upstream read %q", got)
				}
				_, _ = feed.Write(make([]byte, 1<<20))
				_ = feed.Close()
			}()
			got := p.do(t, r)
			<-done
			if n := testkit.Receive(t, rest, "the upload"); got.StatusCode != http.StatusOK || n != 1<<20 {
				t.Errorf("answered %d, the upstream read %d more", got.StatusCode, n)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// Memory use does not depend on the size of a body: 128 MiB in each direction.
func TestMemoryIsConstant(t *testing.T) {
	const size = 128 << 20
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.Copy(w, io.LimitReader(zeros{}, size))
			return
		}
		if n, err := io.Copy(io.Discard, r.Body); n != size || err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	p := newProxy(t, api(t, up.URL))
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		t.Run(method, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			body := io.LimitReader(zeros{}, map[string]int64{http.MethodPut: size}[method])
			response := p.open(t, p.request(t, method, "/api/x", body)) //nolint:bodyclose // open does
			n, err := io.Copy(io.Discard, response.Body)
			runtime.ReadMemStats(&after)
			if err != nil || response.StatusCode != http.StatusOK || method == http.MethodGet && n != size {
				t.Errorf("answered %d, %d bytes, %v", response.StatusCode, n, err)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > size/16 {
				t.Errorf("%d bytes were allocated to pass %d on", allocated, size)
			}
		})
	}
}

func TestClientGoneCancelsTheUpstream(t *testing.T) {
	arrived, cancelled := make(chan struct{}, 1), make(chan struct{}, 1)
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/stream" {
			_ = http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
		cancelled <- struct{}{}
	})
	p := newProxy(t, api(t, up.URL))
	for _, target := range []string{"/api/waiting", "/api/stream"} {
		conn := p.conn(t)
		_, _ = io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\n\r\n")
		testkit.Receive(t, arrived, "the request")
		_ = conn.Close()
		testkit.Receive(t, cancelled, "the end of "+target)
	}
	// A client that leaves is not counted as an error of the upstream.
	if got := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); len(got) != 0 {
		t.Errorf("counted %v", got)
	}
}

// A response that broke off must not look complete to the client.
func TestUpstreamGoneEndsTheAnswerAbnormally(t *testing.T) {
	for name, text := range map[string]string{
		"length":       "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"chunked":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"bad chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
		"event stream": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, api(t, rawUpstream(t, text)))
			conn := p.conn(t)
			_, _ = io.WriteString(conn, "GET /api/x HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\n\r\n")
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatalf("the connection ended before the header: %v", err)
			}
			defer func() { _ = response.Body.Close() }()
			if body, err := io.ReadAll(response.Body); err == nil {
				t.Errorf("read %q to a clean end", body)
			}
			if p.log.Contains("panic recovered") {
				t.Error("logged as a panic")
			}
			if got := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); got["kind=interrupted route=/api/"] != 1 {
				t.Errorf("counted %v", got)
			}
		})
	}
}

// The bytes of a stream are counted while it is sent, and not at its end.
func TestBodyBytes(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "twelve bytes")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/api/stream" {
			<-r.Context().Done()
		}
	})
	p := newProxy(t, api(t, up.URL))
	p.do(t, p.request(t, http.MethodPost, "/api/x", strings.NewReader("seven b")))
	p.do(t, p.request(t, http.MethodHead, "/api/x", nil))
	stream := p.open(t, p.request(t, http.MethodPut, "/api/stream", io.MultiReader(strings.NewReader("12345")))) //nolint:bodyclose // open does
	if _, err := io.ReadFull(stream.Body, make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"direction=to_upstream route=/api/": 12, "direction=to_client route=/api/": 24}
	if got := counted(t, p, "tokenhandler_proxy_body_bytes_total"); !maps.Equal(got, want) {
		t.Errorf("counted %v", got)
	}
}

// A client whose connection breaks during its upload is not counted as an error of the
// upstream.
func TestClientGoneInUpload(t *testing.T) {
	ended := make(chan error, 1)
	up := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	})
	p := newProxy(t, api(t, up.URL))
	for _, head := range []string{"Content-Length: 100\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"} {
		conn := p.conn(t)
		_, _ = io.WriteString(conn, "POST /api/x HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\n"+head)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		if err := testkit.Receive(t, ended, "the end of the upload"); err == nil {
			t.Error("the upstream read half a body to a clean end")
		}
		_, _ = io.Copy(io.Discard, conn)
	}
	if got := counted(t, p, "tokenhandler_proxy_upstream_errors_total"); len(got) != 0 {
		t.Errorf("blamed on the upstream: %v", got)
	}
}

// An upstream may respond before it has read the body. The test uses HTTP/2, because over
// HTTP/1 net/http's server reads on for a while before it sends the response.
func TestEarlyAnswer(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusConflict)
	})
	p := newHTTP2Proxy(t, api(t, up.URL))
	body, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	go func() { _, _ = io.WriteString(feed, "first") }()
	response := p.open(t, p.request(t, http.MethodPost, "/api/x", body)) //nolint:bodyclose // open does
	if response.StatusCode != http.StatusConflict {
		t.Errorf("answered %d", response.StatusCode)
	}
}

var errDown = web.NewProblem(web.CodeProviderUnavailable, "down", errors.New("inside")).RetryAfter(7 * time.Second)

// Requests that are being forwarded are counted until they end, in whatever way.
func TestInFlight(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	up := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	p := newProxy(t, api(t, up.URL))
	const name, label = "tokenhandler_proxy_in_flight", "route=/api/"
	first, second := p.conn(t), p.conn(t)
	for _, conn := range []net.Conn{first, second} {
		_, _ = io.WriteString(conn, "GET /api/x HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\n\r\n")
		testkit.Receive(t, arrived, "the request")
	}
	if got := gauge(t, p, name, label); got != 2 {
		t.Errorf("%v requests under way, want 2", got)
	}
	_ = first.Close()
	close(release)
	testkit.Eventually(t, "no requests under way", func() bool { return gauge(t, p, name, label) == 0 })
}

func gauge(t *testing.T, p *proxy, name, label string) float64 {
	t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && metric.GetLabel()[0].GetName()+"="+metric.GetLabel()[0].GetValue() == label {
				return metric.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no %s with %s", name, label)
	return 0
}

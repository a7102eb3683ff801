package oauthproxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// closingUpstream is an API that closes its first connection when the second request
// arrives on it, as if it had closed an idle connection just then.
type closingUpstream struct {
	connections atomic.Int32

	mu   sync.Mutex
	open []net.Conn
	seen []string // the methods and bodies of all requests
}

// dial opens a connection to the API.
func (u *closingUpstream) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open = append(u.open, far)
	go u.serve(far, u.connections.Add(1) == 1)
	return near, nil
}

func (u *closingUpstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, conn := range u.open {
		_ = conn.Close()
	}
}

func (u *closingUpstream) serve(conn net.Conn, closes bool) {
	defer func() { _ = conn.Close() }()
	requests := bufio.NewReader(conn)
	for served := 0; ; served++ {
		r, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		u.note(strings.TrimSpace(r.Method + " " + string(body)))
		if _, marked := r.Header["X-Idempotency-Key"]; marked {
			u.note("a header without a value")
		}
		if closes && served == 1 {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

func (u *closingUpstream) note(what string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen = append(u.seen, what)
}

// afterFirst returns what was noted of all requests after the first.
func (u *closingUpstream) afterFirst() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[1:]
}

// If the upstream closes a kept connection as the next request arrives, the request is sent
// again, if doing it twice is the same as doing it once. In a bubble the first request's
// connection is always kept: net/http gives it 50 ms to get there.
func TestClosedConnectionIsReplaced(t *testing.T) {
	keeping := overHTTP1
	keeping.replayBody = 8
	for name, c := range map[string]struct {
		method, body string
		again        bool
	}{
		"GET": {http.MethodGet, "", true}, "HEAD": {http.MethodHead, "", true}, "OPTIONS": {http.MethodOptions, "", true},
		"PUT": {http.MethodPut, "body", true}, "PUT without a body": {http.MethodPut, "", true}, "PUT, too long to be kept": {http.MethodPut, "more than is kept", false},
		"DELETE": {http.MethodDelete, "", true}, "DELETE with a body": {http.MethodDelete, "body", true},
		"POST": {http.MethodPost, "body", false}, "POST without a body": {http.MethodPost, "", false}, "PATCH": {http.MethodPatch, "body", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var up closingUpstream
				p := keeping.inMemory(t, within, nil)
				p.handler.DialUpstreams(up.dial)
				t.Cleanup(up.close)
				p.get(t, "/api/x")
				got := p.do(t, p.request(t, c.method, "/api/x", strings.NewReader(c.body)))
				status, requests := http.StatusBadGateway, []string{strings.TrimSpace(c.method + " " + c.body)}
				if c.again {
					status, requests = http.StatusOK, append(requests, requests[0])
				}
				if saw := up.afterFirst(); got.StatusCode != status || strings.Join(saw, ", ") != strings.Join(requests, ", ") {
					t.Errorf("answered %d, the upstream saw %q", got.StatusCode, saw)
				}
			})
		})
	}
}

// A connection to an upstream is not used after 5 idle seconds, when common servers close
// theirs: a POST would be lost.
func TestIdleConnectionIsNotUsedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var connections atomic.Int32
		p := overHTTP1.inMemory(t, within, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		})
		p.handler.CountDials(func() { connections.Add(1) })
		for i, pause := range []time.Duration{0, time.Second, 5*time.Second - time.Millisecond} {
			time.Sleep(pause)
			p.do(t, p.request(t, http.MethodPost, "/api/x", strings.NewReader("body")))
			if got, want := connections.Load(), []int32{1, 1, 2}[i]; got != want {
				t.Errorf("%d connections after a pause of %s, want %d", got, pause, want)
			}
		}
	})
}

// refusingConn is a connection whose other end has answered a part of a request, and closed
// the connection: writing fails, and the answer is still to be read.
type refusingConn struct {
	net.Conn

	answer  io.Reader
	written atomic.Int64
	failed  chan struct{}
	once    sync.Once
}

func (c *refusingConn) Write(p []byte) (int, error) {
	const taken = 64 << 10
	if c.written.Add(int64(len(p))) < taken {
		return len(p), nil
	}
	c.once.Do(func() { close(c.failed) })
	return 0, syscall.ECONNRESET
}

func (c *refusingConn) Read(p []byte) (int, error) {
	<-c.failed
	time.Sleep(100 * time.Millisecond) // in a bubble: other goroutines come first
	n, err := c.answer.Read(p)
	if err != nil {
		err = syscall.ECONNRESET
	}
	return n, err
}

// An upstream that refuses a large upload may answer at once and close the connection. Its
// answer arrives, although the rest of the upload could not be written.
func TestAnswerDuringUploadArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Over HTTP/2 the test's client cannot lose the answer itself.
		toHTTP1 := protocol{newProxy: newHTTP2Proxy, scheme: "http", isHTTP2: true}
		p := toHTTP1.inMemory(t, within, nil)
		p.handler.DialUpstreams(func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			t.Cleanup(func() { _ = far.Close() })
			const answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large"
			return &refusingConn{Conn: near, answer: strings.NewReader(answer), failed: make(chan struct{})}, nil
		})
		got := p.do(t, p.request(t, http.MethodPut, "/api/x", io.LimitReader(zeros{}, 1<<20)))
		if got.StatusCode != http.StatusRequestEntityTooLarge || got.body != "too large" {
			t.Errorf("answered %d %q\n%s", got.StatusCode, got.body, p.log)
		}
	})
}

// The same with real connections, whose kernel decides what is lost.
func TestRefusedUploads(t *testing.T) {
	const uploads = 30
	up := tcpServer(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
		}
	})
	p := newProxy(t, api(t, up))
	body := make([]byte, 8<<20)
	for range uploads {
		conn := p.conn(t)
		go func() {
			_, _ = fmt.Fprintf(conn, "PUT /api/x HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\nContent-Length: %d\r\n\r\n", len(body))
			_, _ = conn.Write(body) // until the proxy closes the connection
		}()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil) //nolint:bodyclose // readAnswer does
		if err != nil {
			t.Fatal(err)
		}
		if got := readAnswer(t, response); got.StatusCode != http.StatusRequestEntityTooLarge || got.body != "too large" {
			t.Fatalf("answered %d %q\n%s", got.StatusCode, got.body, p.log)
		}
	}
}

package app_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// closed waits until the public listener takes no more connections.
func (s *service) closed() {
	s.tb.Helper()
	testkit.Eventually(s.tb, "closed", func() bool {
		conn, err := net.Dial("tcp", s.at.Public)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

// halfSent sends the beginning of a request over a connection of its own. The rest follows
// when the result is called, which returns the head of the answer.
func (s *service) halfSent(ua *useragent.UA, path string) func() *http.Response {
	s.tb.Helper()
	conn, err := net.Dial("tcp", s.at.Public)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = conn.Close() })
	var cookies []string
	for _, c := range ua.Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	send := func(text string) {
		if _, err := io.WriteString(conn, text); err != nil {
			s.tb.Fatal(err)
		}
	}
	send("GET " + path + " HTTP/1.1\r\nHost: localhost:8080\r\n")
	return func() *http.Response {
		send("X-CSRF: 1\r\nCookie: " + strings.Join(cookies, "; ") + "\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			s.tb.Fatalf("no answer: %v", err)
		}
		_ = answer.Body.Close()
		return answer
	}
}

// TestDrainStartsNoRefreshThatCanWait: a request that comes during the shutdown with a token
// that still works refreshes nothing. The browser might not get the result any more.
func TestDrainStartsNoRefreshThatCanWait(t *testing.T) {
	t.Parallel()
	for name, stops := range map[string]bool{"serving": false, "draining": true} {
		var ahead atomic.Int64
		begun := time.Now().Truncate(time.Second) // tokens count whole seconds
		clock := func() time.Time { return begun.Add(time.Duration(ahead.Load())) }
		s := startWith(t, cognitotest.Options{AccessTTL: 4 * time.Second, Clock: clock}, service{clock: clock})
		ua := s.login()
		finish := s.halfSent(ua, "/api/me")       //nolint:bodyclose // a connection of the test, which closes it
		ahead.Add(int64(3200 * time.Millisecond)) // due one second before its end, and used until half a second before it
		stopped := make(chan error, 1)
		if stops {
			go func() { stopped <- s.stop() }()
			s.closed()
		}
		if answer := finish(); answer.StatusCode != http.StatusOK { //nolint:bodyclose // its connection is closed
			t.Errorf("%s: answered %d", name, answer.StatusCode)
		}
		if !stops {
			go func() { stopped <- s.stop() }()
		}
		if err := <-stopped; err != nil { // after the refreshes
			t.Error(err)
		}
		if n := s.pool.Count(cognitotest.TokenRefresh); (n == 0) != stops {
			t.Errorf("%s: %d refreshes", name, n)
		}
	}
}

// TestAnswersDuringTheShutdownEndTheirConnection: from its beginning, also while the service
// waits for requests on other connections. A client would send the next request into a
// connection that is about to be closed.
func TestAnswersDuringTheShutdownEndTheirConnection(t *testing.T) {
	t.Parallel()
	s := start(t, cognitotest.Options{})
	ua := s.login()
	answer := make(chan *http.Response, 1)
	finish := s.halfSent(ua, "/api/slow") //nolint:bodyclose // a connection of the test, which closes it
	go func() { answer <- finish() }()    //nolint:bodyclose // its connection is closed
	<-s.api.entered
	unused, err := net.Dial("tcp", s.at.Public)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unused.Close() }()
	s.browser().Fetch(http.MethodGet, "/auth/session", "") // accepted after the unused one
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	s.closed()
	close(s.api.release)
	if got := <-answer; got.StatusCode != http.StatusOK || !got.Close {
		t.Errorf("answered %d, ends the connection: %v", got.StatusCode, got.Close)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestShutdownAwaitsFirstRequests: two counts in a row without a connection that waits for its
// first request, and not for ever.
func TestShutdownAwaitsFirstRequests(t *testing.T) {
	const count = 10 * time.Millisecond
	for name, c := range map[string]struct {
		arrives, sends time.Duration // 0 for never
		want           time.Duration
	}{
		"none":                 {0, 0, 2 * count},
		"between two counts":   {count + 1, 3*count + 1, 5 * count},
		"between two, briefly": {count + 1, count + 2, 2 * count},
		"there already":        {1, 5*count + 1, 7 * count},
		"silent":               {1, 0, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			watch, await := app.AwaitUnused()
			conn, other := net.Pipe()
			defer func() { _, _ = conn.Close(), other.Close() }()
			for state, at := range map[http.ConnState]time.Duration{http.StateNew: c.arrives, http.StateActive: c.sends} {
				if at != 0 {
					defer time.AfterFunc(at, func() { watch(conn, state) }).Stop()
				}
			}
			begun := time.Now()
			await(t.Context())
			if took := time.Since(begun); took != c.want {
				t.Errorf("%s: %s, want %s", name, took, c.want)
			}
		})
	}
}

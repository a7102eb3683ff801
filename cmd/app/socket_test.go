package app_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// echo is a WebSocket that sends every message back.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

// tick is a stream of events that ends with its client.
func tick(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for ticker := time.NewTicker(10 * time.Millisecond); r.Context().Err() == nil; <-ticker.C {
		_, _ = io.WriteString(w, "data: tick\n\n")
		_ = http.NewResponseController(w).Flush()
	}
}

// dial opens a WebSocket as a page in ua does.
func (s *service) dial(ua *useragent.UA) *websocket.Conn {
	s.tb.Helper()
	header := http.Header{"Origin": {publicURL}}
	for _, cookie := range ua.Cookies() {
		header.Add("Cookie", cookie.Name+"="+cookie.Value)
	}
	conn, _, err := websocket.Dial(s.tb.Context(), publicURL+"/live/socket", &websocket.DialOptions{ //nolint:bodyclose // it is the socket
		HTTPHeader: header, HTTPClient: &http.Client{Transport: s.transport()},
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// wantEcho asserts that a socket works.
func (s *service) wantEcho(conn *websocket.Conn) {
	s.tb.Helper()
	if err := conn.Write(s.tb.Context(), websocket.MessageText, []byte("hello")); err != nil {
		s.tb.Error(err)
	}
	if _, message, err := conn.Read(s.tb.Context()); string(message) != "hello" || err != nil {
		s.tb.Errorf("%q, %v", message, err)
	}
}

// wantClosed reads on until the socket is closed, and wants its code and reason.
func (s *service) wantClosed(conn *websocket.Conn, code websocket.StatusCode, reason string) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), testkit.Deadline)
	defer cancel()
	_, _, err := conn.Read(ctx)
	if closed, _ := errors.AsType[websocket.CloseError](err); closed.Code != code || closed.Reason != reason {
		s.tb.Errorf("closed with %v, want %d %s", err, code, reason)
	}
}

// TestShutdownEndsSockets: in time, and the process waits for it.
func TestShutdownEndsSockets(t *testing.T) {
	s := start(t, cognitotest.Options{})
	ua := s.login()
	conn := s.dial(ua)
	s.wantEcho(conn)
	stopped := make(chan error)
	go func() { stopped <- s.stop() }()
	s.wantClosed(conn, websocket.StatusGoingAway, "going away")
	if err := testkit.Receive(t, stopped, "the end of the service"); err != nil {
		t.Error(err)
	}
	if s.log.Contains("requests were cut off") {
		t.Error("the socket held up the shutdown")
	}
}

// stream opens the stream of events as a page in ua does; ended is told how it
// ended, read that something came.
func (s *service) stream(ua *useragent.UA) (read <-chan struct{}, ended <-chan error) {
	s.tb.Helper()
	r, err := http.NewRequestWithContext(s.tb.Context(), http.MethodGet, publicURL+"/live/events", http.NoBody)
	if err != nil {
		s.tb.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, cookie := range ua.Cookies() {
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	}
	response, err := s.transport().RoundTrip(r) //nolint:bodyclose // below
	if err != nil || response.StatusCode != http.StatusOK {
		s.tb.Fatalf("%v, %v", response, err)
	}
	reads, ends := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		defer func() { _ = response.Body.Close() }()
		for buf := make([]byte, 100); ; {
			if _, err := response.Body.Read(buf); err != nil {
				ends <- err
				return
			}
			select {
			case reads <- struct{}{}:
			default:
			}
		}
	}()
	return reads, ends
}

// TestShutdownEndsStreams: as if they were whole, and not only when its time is over.
func TestShutdownEndsStreams(t *testing.T) {
	s := start(t, cognitotest.Options{})
	ua := s.login()
	var ends []<-chan error
	for range 100 {
		read, ended := s.stream(ua)
		<-read
		ends = append(ends, ended)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	for i, ended := range ends {
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("stream %d broke off: %v", i, err)
		}
	}
	if s.log.Contains("requests were cut off") {
		t.Error("they held the shutdown")
	}
}

// TestSocketsAndStreamsEndWithTheirSession: whoever ends it, and nobody else's.
func TestSocketsAndStreamsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	s := startWith(t, cognitotest.Options{}, service{admins: ", token: " + adminToken})
	s.pool.AddUser(cognitotest.User{Username: "second"})
	s.pool.LoginAs("second")
	stranger := s.login()
	s.pool.LoginAs("demo")
	for name, end := range map[string]func(ua *useragent.UA){
		"logout": func(ua *useragent.UA) { ua.Fetch(http.MethodPost, "/auth/logout", "") },
		"logout everywhere, in another browser": func(*useragent.UA) {
			s.login().Fetch(http.MethodPost, "/auth/logout?everywhere=true", "")
		},
		"operator": func(*useragent.UA) {
			if status, body := s.order(adminToken, `{"sub":"`+s.pool.User("demo").Sub+`"}`); status != http.StatusAccepted {
				t.Errorf("%d %s", status, body)
			}
		},
		"refresh token refused": func(ua *useragent.UA) {
			s.pool.DisableUser("demo")
			ua.Fetch(http.MethodPost, "/auth/refresh", "")
			s.pool.EnableUser("demo")
		},
	} {
		t.Run(name, func(t *testing.T) {
			ua := s.login()
			conn, others := s.dial(ua), s.dial(stranger)
			s.wantEcho(conn)
			s.wantEcho(others)
			read, ended := s.stream(ua)
			othersRead, othersEnded := s.stream(stranger)
			<-read
			<-othersRead
			end(ua)
			s.wantClosed(conn, 4401, "session ended")
			if err := testkit.Receive(t, ended, "the end of the stream"); errors.Is(err, io.EOF) {
				t.Error("the stream ended as if it were whole")
			}
			<-othersRead
			s.wantEcho(others)
			select {
			case err := <-othersEnded:
				t.Errorf("another user's stream ended: %v", err)
			default:
			}
		})
	}
}

// TestSocketEndsAtTheAbsoluteEnd: a socket is closed when its session reaches
// its absolute lifetime, although messages pass, and not before.
func TestSocketEndsAtTheAbsoluteEnd(t *testing.T) {
	t.Parallel()
	clock := testkit.NewClock(time.Now())
	s := startWith(t, cognitotest.Options{AccessTTL: 2 * time.Hour, Clock: clock.Now}, service{clock: clock.Now, session: ", absolute_lifetime: 1h, idle_timeout: 1h"})
	ua := s.login()
	var session struct {
		ExpiresAt time.Time `json:"expires_at"`
	}
	if r := ua.Fetch(http.MethodGet, "/auth/session", ""); r.JSON(&session) != nil || session.ExpiresAt.IsZero() {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	clock.Set(session.ExpiresAt.Add(-time.Second))
	conn := s.dial(ua) // activity, so that the idle time does not end the session
	for range 3 {
		s.wantEcho(conn)
	}
	clock.Set(session.ExpiresAt.Add(time.Second)) // expires_at has no fractions
	s.wantClosed(conn, 4401, "session ended")
}

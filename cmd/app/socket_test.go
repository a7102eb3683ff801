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
	ctx, cancel := context.WithTimeout(s.tb.Context(), 10*time.Second)
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
	begun := time.Now()
	if err := <-stopped; err != nil || time.Since(begun) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
}

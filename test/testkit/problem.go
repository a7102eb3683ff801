package testkit

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// Answer is an HTTP response whose body was read.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Recorded returns what rec recorded.
func Recorded(rec *httptest.ResponseRecorder) Answer {
	return Answer{Status: rec.Code, Header: rec.Result().Header, Body: rec.Body.Bytes()}
}

// Problem is the body of an error answer (RFC 9457), as clients read it. It is
// declared here again, so that a change of the service's own type fails a test.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	LoginURL  string `json:"login_url"`
	RequestID string `json:"request_id"`
}

// LoginURL is the login_url that [WantProblem] expects in answers with status
// 401. In answers to pages of other origins it is absolute.
const LoginURL = "/auth/login"

// WantProblem asserts that got is an error answer of the service with this
// status and code, with every member and header field that such answers have.
// It returns the body for further assertions.
func WantProblem(tb testing.TB, got Answer, status int, code string) Problem {
	tb.Helper()
	var p Problem
	if err := json.Unmarshal(got.Body, &p); err != nil {
		tb.Errorf("answered %d with %q, want %d %s: %v", got.Status, got.Body, status, code, err)
		return p
	}
	if got.Status != status || p.Status != status || p.Code != code {
		tb.Errorf("answered %d with %s, want %d %s", got.Status, got.Body, status, code)
	}
	if p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Detail == "" {
		tb.Errorf("%d %s: type, title or detail is wrong: %s", status, code, got.Body)
	}
	if id := got.Header.Get("X-Request-ID"); p.RequestID == "" || p.RequestID != id {
		tb.Errorf("%d %s: request_id %q with X-Request-ID %q", status, code, p.RequestID, id)
	}
	loginURL := map[bool]string{true: LoginURL}[status == http.StatusUnauthorized]
	sent := p.LoginURL
	if status == http.StatusUnauthorized && got.Header.Get("Access-Control-Allow-Origin") != "" {
		u, err := url.Parse(sent)
		if err != nil || !u.IsAbs() {
			tb.Fatalf("%d %s: login_url %q is a path, for a page of another origin", status, code, sent)
		}
		sent = u.Path
	}
	if sent != loginURL {
		tb.Errorf("%d %s: login_url %q, want %q", status, code, p.LoginURL, loginURL)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if value := got.Header.Get(name); value != want {
			tb.Errorf("%d %s: %s %q, want %q", status, code, name, value, want)
		}
	}
	waits := status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
	if value := got.Header.Get("Retry-After"); (value != "") != waits {
		tb.Errorf("%d %s: Retry-After %q", status, code, value)
	}
	return p
}

package cognitotest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"
)

// overQuota counts a request and reports whether it exceeds Options.MaxRPS. The caller
// holds s.mu.
func (s *Server) overQuota(endpoint string) bool {
	if s.opts.MaxRPS <= 0 || !slices.Contains([]string{TokenAny, Revoke, UserInfo, API}, endpoint) {
		return false
	}
	now := s.now()
	s.recentRequests = slices.DeleteFunc(s.recentRequests, func(at time.Time) bool { return now.Sub(at) >= time.Second })
	if len(s.recentRequests) >= s.opts.MaxRPS {
		return true
	}
	s.recentRequests = append(s.recentRequests, now)
	return false
}

// Transport returns a transport to the pool that uses no network. In a bubble of
// testing/synctest, time does not advance while a goroutine waits for a socket. The
// pool itself is started outside of the bubble.
func (s *Server) Transport() http.RoundTripper { return inMemory{s.http.Config.Handler} }

type inMemory struct{ handler http.Handler }

// withoutNetwork is the key of a value in the contexts of requests through [inMemory].
type withoutNetwork struct{}

// closing returns a channel that is closed with the server, or nil without a network: in
// a bubble, time does not advance while a goroutine waits for a channel from outside.
func (s *Server) closing(r *http.Request) <-chan struct{} {
	if r.Context().Value(withoutNetwork{}) != nil {
		return nil
	}
	return s.closed
}

// RoundTrip implements [http.RoundTripper]. Where the handler aborts the connection, it
// returns an error.
func (m inMemory) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	defer func() {
		switch fault := recover(); {
		case fault == nil:
		case fault != http.ErrAbortHandler: //nolint:errorlint // what panics is this value
			panic(fault)
		case r.Context().Err() != nil:
			answer, err = nil, r.Context().Err()
		default:
			answer, err = nil, io.ErrUnexpectedEOF
		}
	}()
	in := r.Clone(context.WithValue(r.Context(), withoutNetwork{}, true))
	in.Host, in.RequestURI, in.RemoteAddr = r.URL.Host, r.URL.RequestURI(), "192.0.2.1:1234"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	m.handler.ServeHTTP(out, in)
	answer = out.Result()
	answer.Request = r
	return answer, nil
}

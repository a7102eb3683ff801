package cognitotest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"time"
)

// exceeds takes note of a request and reports whether it is over the quota;
// s.mu is held.
func (s *Server) exceeds(endpoint string) bool {
	if s.opts.MaxRPS <= 0 || !slices.Contains([]string{TokenAny, Revoke, UserInfo, API}, endpoint) {
		return false
	}
	now := s.now()
	s.taken = slices.DeleteFunc(s.taken, func(at time.Time) bool { return now.Sub(at) >= time.Second })
	if len(s.taken) >= s.opts.MaxRPS {
		return true
	}
	s.taken = append(s.taken, now)
	return false
}

// Transport reaches the pool without a network. In a bubble of testing/synctest
// a socket would keep the time from going on; the pool itself is started
// outside of it.
func (s *Server) Transport() http.RoundTripper { return inMemory{s.http.Config.Handler} }

type inMemory struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.Host, in.RequestURI, in.RemoteAddr = r.URL.Host, r.URL.RequestURI(), "192.0.2.1:1234"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	m.handler.ServeHTTP(out, in)
	answer := out.Result()
	answer.Request = r
	return answer, nil
}

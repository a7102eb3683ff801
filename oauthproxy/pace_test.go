package oauthproxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// trickle returns a body that sends a byte after each pause.
func trickle(pause time.Duration, count int) io.Reader {
	r, w := io.Pipe()
	go func() {
		defer func() { _ = w.Close() }()
		for range count {
			time.Sleep(pause)
			if _, err := w.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
	return r
}

// A user's body may take its time, as long as it does not stop for a minute. That of somebody
// without a session would hold a connection of the upstream for hours.
func TestBodiesOfUsersMayBeSlow(t *testing.T) {
	for name, anonymous := range map[string]bool{"a user": false, "nobody": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				protocol := overHTTP1
				protocol.anonymous = true
				whole := make(chan bool, 1)
				p := protocol.inMemory(t, time.Minute, func(_ http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					whole <- err == nil && len(body) == 5
				})
				if anonymous {
					p.tokens.err = web.NewProblem(web.CodeNotAuthenticated, "planned by the test", nil)
				}
				response, err := p.Client().Transport.RoundTrip(p.request(t, http.MethodPost, "/api/x", trickle(50*time.Second, 5)))
				if err == nil {
					_ = response.Body.Close()
				}
				if got := <-whole; got == anonymous {
					t.Errorf("the upstream got the whole body: %v", got)
				}
				time.Sleep(time.Minute) // for the rest of the body
			})
		})
	}
}

// While a body arrives, the time-out of the route begins again with each part: also in a second
// try, which has the whole body still to come.
func TestArrivingBodyExtendsTheTimeout(t *testing.T) {
	for name, expect := range map[string]string{"first try": "", "second try": "100-continue"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := overHTTP1.inMemory(t, 10*time.Second, func(w http.ResponseWriter, r *http.Request) {
					if expect != "" && r.Header.Get("Authorization") != "Bearer renewed" {
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					if body, err := io.ReadAll(r.Body); err != nil || string(body) != strings.Repeat("x", 5) {
						w.WriteHeader(http.StatusTeapot)
					}
				})
				p.tokens.renew = func() (string, error) { return "renewed", nil }
				r := p.request(t, http.MethodPost, "/api/x", trickle(8*time.Second, 5))
				if expect != "" {
					r.Header.Set("Expect", expect)
				}
				if got := p.do(t, r); got.StatusCode != http.StatusOK {
					t.Errorf("answered %d %s", got.StatusCode, got.body)
				}
			})
		})
	}
}

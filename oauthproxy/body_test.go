package oauthproxy_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// brokenWriter keeps what was passed to Write although Write fails. So does net/http over
// HTTP/2: if the client cancels a response while a part of it is being sent, Write returns
// before that part is sent.
type brokenWriter struct {
	*httptest.ResponseRecorder

	sending []byte
}

func (w *brokenWriter) Write(p []byte) (int, error) {
	w.sending = p
	return 0, errors.New("the stream is closed")
}

// The buffer of a response that the client has cancelled is not used for another client's
// response.
func TestBufferAfterAFailedWrite(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	p := newProxy(t, api(t, up.URL))
	broken := &brokenWriter{ResponseRecorder: httptest.NewRecorder()}
	func() {
		defer func() {
			if cause := recover(); cause != http.ErrAbortHandler { //nolint:errorlint // a panic's value
				t.Errorf("panic %v", cause)
			}
		}()
		p.Config.Handler.ServeHTTP(broken, directRequest(t, "/api/first"))
	}()
	for range 20 { // a sync.Pool does not always return what was put in
		serveDirectly(p, directRequest(t, "/api/other"))
	}
	if got := string(broken.sending); got != "/api/first" {
		t.Errorf("the first client may get %q", got)
	}
}

func directRequest(t *testing.T, target string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// A body that was read to its end is not at fault if the upstream fails then: the client is
// not told that its request is malformed.
func TestFailureBehindAWholeBody(t *testing.T) {
	for name, c := range map[string]struct {
		fails  http.HandlerFunc
		status int
		code   string
	}{
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, http.StatusBadGateway, "upstream_error"},
		"hangs":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, http.StatusGatewayTimeout, "upstream_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := overHTTP1.inMemory(t, time.Second, func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					c.fails(w, r)
				})
				wantProblem(t, p.do(t, p.request(t, http.MethodPost, "/api/x", strings.NewReader(strings.Repeat("x", 100<<10)))), c.status, c.code)
			})
		})
	}
}

package oauthproxy_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/test/testkit"
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

// countedBodies is a transport that counts the bodies of responses that are open.
type countedBodies struct {
	http.RoundTripper

	open *atomic.Int32
}

func (c countedBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		c.open.Add(1)
		response.Body = &countedBody{ReadCloser: response.Body, open: c.open}
	}
	return response, err
}

type countedBody struct {
	io.ReadCloser

	open *atomic.Int32
	once sync.Once
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.open.Add(-1) })
	return b.ReadCloser.Close()
}

// Whatever becomes of a response, its body is closed, so that its connection ends or is used
// again.
func TestBodiesOfResponsesAreClosed(t *testing.T) {
	for path, status := range map[string]int{
		"/api/good": http.StatusOK, "/api/refused": http.StatusOK, "/api/invalid": http.StatusBadGateway, "/api/events": http.StatusTooManyRequests, "/api/breaks": 0,
	} {
		t.Run(path, func(t *testing.T) {
			up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/api/events":
					w.Header().Set("Content-Type", "text/event-stream")
					_ = http.NewResponseController(w).Flush()
					<-r.Context().Done()
				case r.URL.Path == "/api/breaks":
					w.Header().Set("Content-Length", "10")
					_, _ = io.WriteString(w, "half")
				case r.Header.Get("Authorization") != "Bearer renewed" && r.URL.Path == "/api/refused":
					w.WriteHeader(http.StatusUnauthorized)
				}
			})
			var open atomic.Int32
			p := newLimitedProxy(t, oauthproxy.Limits{Streams: 1}, nil, api(t, up.URL))
			p.Start()
			t.Cleanup(p.Close)
			p.tokens.renew = func() (string, error) { return "renewed", nil }
			p.handler.WrapTransports(func(next http.RoundTripper) http.RoundTripper {
				return countedBodies{statusOf{next, "/api/invalid"}, &open}
			})
			held := int32(0)
			if status == http.StatusTooManyRequests {
				stream := p.open(t, p.request(t, http.MethodGet, path, http.NoBody))
				defer func() { _ = stream.Body.Close() }()
				held = 1
			}
			response, err := p.Client().Transport.RoundTrip(p.request(t, http.MethodGet, path, http.NoBody))
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode != status && status != 0 || (err != nil) != (status == 0) {
				t.Errorf("answered %d, %v", response.StatusCode, err)
			}
			testkit.Eventually(t, "all bodies closed", func() bool { return open.Load() == held })
		})
	}
}

// statusOf makes the status of responses at one path one that cannot be passed on.
type statusOf struct {
	http.RoundTripper

	path string
}

func (s statusOf) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.RoundTripper.RoundTrip(r)
	if err == nil && r.URL.Path == s.path {
		response.StatusCode = http.StatusSwitchingProtocols
	}
	return response, err
}

//go:build e2e

package bench_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/test/useragent"
)

// browser is a simulated browser. When its session has ended it logs in again.
type browser struct {
	worker *worker
	ua     *useragent.UA
	begun  time.Time // start of its session
}

// action is a step of the load: something that a browser or an attacker does.
type action struct {
	name  string
	times int // how often it is in stepOrder
	do    func(b *browser) error
}

// errSignedOut is returned by a step that was answered with 401.
var errSignedOut = errors.New("the session has ended")

// soakSteps are all steps of the load.
func soakSteps() []action {
	fetch := func(method, path, body string, want int) func(b *browser) error {
		return func(b *browser) error { return b.fetch(method, path, body, want) }
	}
	return []action{
		{"call", 24, fetch(http.MethodGet, "/api/data", "", http.StatusOK)},
		{"post", 6, fetch(http.MethodPost, "/api/things", "a thing", http.StatusOK)},
		{"put", 4, fetch(http.MethodPut, "/api/things/1", "a thing", http.StatusOK)},
		{"who is logged in", 6, (*browser).session},
		{"refresh", 2, (*browser).refresh},
		{"gateway verification", 2, (*browser).verify},
		{"presigned upload", 2, fetch(http.MethodPost, "/storage/uploads", `{"key":"a.txt","content_type":"text/plain","size":9}`, http.StatusCreated)},
		{"file of the app", 2, fetch(http.MethodGet, "/app.js", "", http.StatusOK)},
		{"page of the app", 2, fetch(http.MethodGet, "/some/page", "", http.StatusOK)},
		{"upload in chunks", 2, func(b *browser) error { return b.upload(-1) }},
		{"upload with a length", 2, func(b *browser) error { return b.upload(uploadSize) }},
		{"upload that breaks off", 2, (*browser).brokenUpload},
		{"download", 2, func(b *browser) error { return b.read("/api/download", downloadSize) }},
		{"download that is aborted", 2, func(b *browser) error { return b.read("/api/download", 1000) }},
		{"event stream", 4, func(b *browser) error { return b.read("/api/events", 30) }},
		{"request that is canceled", 2, (*browser).cancelRequest},
		{"socket", 2, func(b *browser) error {
			return b.socket(func(c *websocket.Conn) error { return c.Close(websocket.StatusNormalClosure, "") })
		}},
		{"socket that is dropped", 2, func(b *browser) error { return b.socket((*websocket.Conn).CloseNow) }},
		{"anonymous call", 2, func(b *browser) error { return b.withoutSession("/open/data", http.StatusOK) }},
		{"call without a session", 2, func(b *browser) error { return b.withoutSession("/api/data", http.StatusUnauthorized) }},
		{"login that is not finished", 2, func(b *browser) error { return b.withoutSession("/auth/login", http.StatusFound) }},
		{"forged callback", 2, func(b *browser) error {
			return b.withoutSession("/auth/callback?code=a&state=b", http.StatusBadRequest)
		}},
		{"unknown path under /auth/", 2, func(b *browser) error { return b.withoutSession("/auth/nothing", http.StatusNotFound) }},
		{"forged session", 2, (*browser).forgedSession},
		{"foreign origin", 2, (*browser).foreign},
		{"socket without origin", 2, (*browser).socketWithoutOrigin},
		{"body that is too large", 2, (*browser).tooLarge},
		{"encoded slash", 2, fetch(http.MethodGet, "/api/a%2fb", "", http.StatusBadRequest)},
		{"failing API", 2, fetch(http.MethodGet, "/api/fail", "", http.StatusInternalServerError)},
		{"API that breaks off", 2, fetch(http.MethodGet, "/api/cut", "", http.StatusBadGateway)},
		{"API that is down", 2, fetch(http.MethodGet, "/down/", "", http.StatusBadGateway)},
		{"API that refuses the token", 2, fetch(http.MethodGet, "/api/refuse", "", http.StatusUnauthorized)},
		{"logout", 1, (*browser).logout},
	}
}

// stepOrder returns the steps in the order in which a worker makes them, each as often as
// its times says.
func stepOrder() (order []action) {
	steps := soakSteps()
	for left := true; left; {
		left = false
		for i := range steps {
			if steps[i].times > 0 {
				order = append(order, steps[i])
				steps[i].times--
				left = true
			}
		}
	}
	return order
}

// work makes steps until that time, and every step at least once, even if the machine is
// slow. An error ends it.
func (w *worker) work(until time.Time) (done int, err error) {
	order := stepOrder()
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	for ; time.Now().Before(until) || w.made < len(order); <-ticks.C {
		at := w.first + w.made
		s := order[(at+at/soakBrowsers)%len(order)] // so that each browser makes each of the steps
		if err := w.browsers[at%soakBrowsers].runStep(s); err != nil {
			return done, fmt.Errorf("%s: %w", s.name, err)
		}
		w.made++
		done++
	}
	return done, nil
}

// runStep logs in, if the browser has no session, and makes a step. If the session has
// expired it logs in again.
func (b *browser) runStep(s action) error {
	defer b.ua.ForgetHistory()
	if b.begun.IsZero() {
		if err := b.login(); err != nil {
			return err
		}
	}
	err := s.do(b)
	if errors.Is(err, errSignedOut) {
		if lasted := time.Since(b.begun); lasted < lifetime()-time.Second { // the service counts whole seconds
			return fmt.Errorf("%w after %s", err, lasted)
		}
		b.worker.world.count("session that expired")
		return b.login()
	}
	b.worker.world.count(s.name)
	return err
}

func (w *soakWorld) count(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[name]++
}

func (b *browser) login() error {
	b.worker.world.count("login")
	b.begun = time.Now()
	answer := b.ua.Navigate("/auth/login?return_to=/app.js")
	return checkStatus(answer.Status, http.StatusOK, answer.Err)
}

// checkStatus returns err, errSignedOut after a 401, or an error for any other status than
// the one that is wanted.
func checkStatus(status, want int, err error) error {
	switch {
	case err != nil:
		return err
	case status == want:
		return nil
	case status == http.StatusUnauthorized:
		return errSignedOut
	}
	return fmt.Errorf("answered %d, not %d", status, want)
}

func (b *browser) fetch(method, path, body string, want int) error {
	answer := b.ua.Fetch(method, path, body, useragent.FetchOptions{Header: map[string]string{"Content-Type": "application/json"}})
	return checkStatus(answer.Status, want, answer.Err)
}

func (b *browser) session() error {
	answer := b.ua.Fetch(http.MethodGet, "/auth/session", "")
	if answer.Status == http.StatusOK && !bytes.Contains(answer.Body, []byte(`"authenticated":true`)) {
		return errSignedOut
	}
	return checkStatus(answer.Status, http.StatusOK, answer.Err)
}

// refresh accepts a 429, because the service limits how often a session may refresh.
func (b *browser) refresh() error {
	answer := b.ua.Fetch(http.MethodPost, "/auth/refresh", "")
	if answer.Status == http.StatusTooManyRequests {
		return nil
	}
	return checkStatus(answer.Status, http.StatusOK, answer.Err)
}

func (b *browser) foreign() error {
	answer := b.ua.FetchFrom("https://evil.example", http.MethodPost, publicURL+"/api/data", "", useragent.FetchOptions{Mode: "no-cors"})
	return checkStatus(answer.Status, http.StatusForbidden, answer.Err)
}

// logout ends the session while a WebSocket is open. Every tenth time an event stream is
// open instead; it ends only a second later.
func (b *browser) logout() error {
	end := func() error { return b.fetch(http.MethodPost, "/auth/logout", "", http.StatusOK) }
	b.worker.logouts++
	if b.worker.logouts%10 == 1 {
		answer, err := b.send(context.Background(), request{method: http.MethodGet, path: "/api/events"})
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		if err := errors.Join(checkStatus(answer.StatusCode, http.StatusOK, nil), end()); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err == nil {
			return errors.New("the stream ended as if it were complete")
		}
		return b.login()
	}
	err := b.socket(func(c *websocket.Conn) error {
		if err := end(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
		defer cancel()
		if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != 4401 {
			return fmt.Errorf("the socket was closed with %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.login()
}

// cookies returns the Cookie header that the browser would send.
func (b *browser) cookies() string {
	var pairs []string
	for _, c := range b.ua.Cookies() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

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

// browser has one session after the other.
type browser struct {
	worker *worker
	ua     *useragent.UA
	begun  time.Time // its session
}

// action is something that a browser, or somebody who is none, does.
type action struct {
	name  string
	times int // in a turn
	do    func(b *browser) error
}

// errSignedOut is told by a step that got a 401.
var errSignedOut = errors.New("the session is over")

// soakSteps are all that a worker does in a turn.
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
		{"gateway's question", 2, (*browser).verify},
		{"presigned upload", 2, fetch(http.MethodPost, "/storage/uploads", `{"key":"a.txt","content_type":"text/plain","size":9}`, http.StatusCreated)},
		{"file of the app", 2, fetch(http.MethodGet, "/app.js", "", http.StatusOK)},
		{"page of the app", 2, fetch(http.MethodGet, "/some/page", "", http.StatusOK)},
		{"upload in chunks", 2, func(b *browser) error { return b.upload(-1) }},
		{"upload with a length", 2, func(b *browser) error { return b.upload(uploadSize) }},
		{"upload that breaks off", 2, (*browser).brokenUpload},
		{"download", 2, func(b *browser) error { return b.read("/api/download", downloadSize) }},
		{"download that is left", 2, func(b *browser) error { return b.read("/api/download", 1000) }},
		{"event stream", 4, func(b *browser) error { return b.read("/api/events", 30) }},
		{"answer that is not awaited", 2, (*browser).leave},
		{"socket", 2, func(b *browser) error {
			return b.socket(func(c *websocket.Conn) error { return c.Close(websocket.StatusNormalClosure, "") })
		}},
		{"socket that is dropped", 2, func(b *browser) error { return b.socket((*websocket.Conn).CloseNow) }},
		{"anonymous call", 2, func(b *browser) error { return b.stranger("/open/data", http.StatusOK) }},
		{"call without a session", 2, func(b *browser) error { return b.stranger("/api/data", http.StatusUnauthorized) }},
		{"login that is not finished", 2, func(b *browser) error { return b.stranger("/auth/login", http.StatusFound) }},
		{"forged callback", 2, func(b *browser) error { return b.stranger("/auth/callback?code=a&state=b", http.StatusBadRequest) }},
		{"unknown path of ours", 2, func(b *browser) error { return b.stranger("/auth/nothing", http.StatusNotFound) }},
		{"forged session", 2, (*browser).forge},
		{"foreign origin", 2, (*browser).foreign},
		{"socket without origin", 2, (*browser).socketWithoutOrigin},
		{"too large a body", 2, (*browser).tooLarge},
		{"encoded slash", 2, fetch(http.MethodGet, "/api/a%2fb", "", http.StatusBadRequest)},
		{"failing API", 2, fetch(http.MethodGet, "/api/fail", "", http.StatusInternalServerError)},
		{"API that breaks off", 2, fetch(http.MethodGet, "/api/cut", "", http.StatusBadGateway)},
		{"API that is down", 2, fetch(http.MethodGet, "/down/", "", http.StatusBadGateway)},
		{"API that refuses the token", 2, fetch(http.MethodGet, "/api/refuse", "", http.StatusUnauthorized)},
		{"logout", 1, (*browser).logout},
	}
}

// turn is the order of a turn's steps, each as often as it says.
func turn() (order []action) {
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

// work makes steps until that time, and a whole turn at least, however slow the
// machine is. An error ends it.
func (w *worker) work(until time.Time) (done int, err error) {
	order := turn()
	ticks := time.NewTicker(pace)
	defer ticks.Stop()
	for ; time.Now().Before(until) || w.made < len(order); <-ticks.C {
		at := w.first + w.made
		s := order[(at+at/soakBrowsers)%len(order)] // each of the steps with each browser
		if err := w.browsers[at%soakBrowsers].make(s); err != nil {
			return done, fmt.Errorf("%s: %w", s.name, err)
		}
		w.made++
		done++
	}
	return done, nil
}

func (b *browser) make(s action) error {
	defer b.ua.ForgetHistory()
	if b.begun.IsZero() {
		if err := b.login(); err != nil {
			return err
		}
	}
	err := s.do(b)
	if errors.Is(err, errSignedOut) {
		if lasted := time.Since(b.begun); lasted < lifetime()-time.Second { // it counts whole seconds
			return fmt.Errorf("%w after %s", err, lasted)
		}
		b.worker.world.count("session at its end")
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
	return judge(answer.Status, http.StatusOK, answer.Err)
}

func judge(status, want int, err error) error {
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
	return judge(answer.Status, want, answer.Err)
}

func (b *browser) session() error {
	answer := b.ua.Fetch(http.MethodGet, "/auth/session", "")
	if answer.Status == http.StatusOK && !bytes.Contains(answer.Body, []byte(`"authenticated":true`)) {
		return errSignedOut
	}
	return judge(answer.Status, http.StatusOK, answer.Err)
}

// refresh may be asked for so often only.
func (b *browser) refresh() error {
	answer := b.ua.Fetch(http.MethodPost, "/auth/refresh", "")
	if answer.Status == http.StatusTooManyRequests {
		return nil
	}
	return judge(answer.Status, http.StatusOK, answer.Err)
}

func (b *browser) foreign() error {
	answer := b.ua.FetchFrom("https://evil.example", http.MethodPost, publicURL+"/api/data", "", useragent.FetchOptions{Mode: "no-cors"})
	return judge(answer.Status, http.StatusForbidden, answer.Err)
}

// logout ends the session under a socket, and now and then under a stream, which
// takes a second.
func (b *browser) logout() error {
	end := func() error { return b.fetch(http.MethodPost, "/auth/logout", "", http.StatusOK) }
	b.worker.logouts++
	if b.worker.logouts%10 == 1 {
		answer, err := b.send(context.Background(), request{method: http.MethodGet, path: "/api/events"})
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		if err := errors.Join(judge(answer.StatusCode, http.StatusOK, nil), end()); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err == nil {
			return errors.New("the stream ended as if it were whole")
		}
		return b.login()
	}
	err := b.socket(func(c *websocket.Conn) error {
		if err := end(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), settleTime)
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

// cookies are what the browser would send.
func (b *browser) cookies() string {
	var pairs []string
	for _, c := range b.ua.Cookies() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

//go:build e2e

package gateway_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// front is nginx before the whole token handler, not beside it.
func front() gateway {
	g := nginx()
	g.example = "front/nginx.conf"
	all := g.places
	g.places = func(t *testing.T, at places) []place {
		t.Helper()
		var there []place
		for _, p := range all(t, at) {
			switch p.old {
			case "/etc/nginx/verify_secret.conf", "/srv/app", "server 127.0.0.1:3000;":
				continue
			case "listen 443 ssl;":
				p.old, p.now = "listen 443 ssl http2;", strings.ReplaceAll(p.now, " ssl;", " ssl http2;")
			}
			there = append(there, p)
		}
		return there
	}
	return g
}

// stream makes a request of the app whose bodies are not read or written at once.
func (w *world) stream(ua *useragent.UA, method, path string, body io.Reader) *http.Response {
	t := w.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, appURL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header(ua)
	answer, err := w.transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", method, path, answer.Status)
	}
	return answer
}

// header is what the browser sends with a request of the app.
func header(ua *useragent.UA) http.Header {
	h := http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {appURL}}
	for _, cookie := range ua.Cookies() {
		h.Add("Cookie", cookie.Name+"="+cookie.Value)
	}
	return h
}

func TestBehindNginx(t *testing.T) {
	w := newWorld(t, front(), usual())
	ua := w.login()
	res := ua.Fetch(http.MethodPost, "/api/a%20b?q=1%202", "body", useragent.FetchOptions{Header: map[string]string{"X-Forwarded-For": "192.0.2.1"}})
	got, _ := w.api.seen()
	if res.Status != http.StatusOK || string(res.Body) != "POST /api/a%20b?q=1%202 body" || !strings.HasPrefix(got.Get("Authorization"), "Bearer eyJ") {
		t.Errorf("%d %s; the API got %v", res.Status, res.Body, got)
	}
	if got.Get("X-Forwarded-For") != "127.0.0.1" && got.Get("X-Forwarded-For") != "::1" || got.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("the API got %v", got)
	}
	if len(ua.Rejected()) > 0 {
		t.Errorf("the browser refused %v", ua.Rejected())
	}
	if res := ua.Fetch(http.MethodPost, "/auth/logout", ""); res.Status != http.StatusOK {
		t.Errorf("logout: %d", res.Status)
	}
	if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusUnauthorized {
		t.Errorf("after the logout: %d", res.Status)
	}
}

// TestStreamsBehindNginx: what comes is passed on before there is more, also by
// an nginx that buffers answers.
func TestStreamsBehindNginx(t *testing.T) {
	for name, edit := range map[string][]place{
		"as in the example": nil,
		"buffering answers": {{"proxy_buffering off;", "proxy_buffering on;"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, front(), usual(), edit...)
			ua := w.login()
			events := bufio.NewReader(w.stream(ua, http.MethodGet, "/api/events", http.NoBody).Body) //nolint:bodyclose // stream does
			for _, event := range []string{"one", "two", "three"} {
				select {
				case w.api.events <- event:
				case <-t.Context().Done():
				}
				if line, err := events.ReadString('\n'); err != nil || line != "data: "+event+"\n" {
					t.Fatalf("%q %v", line, err)
				}
				_, _ = events.ReadString('\n')
			}
			body, feed := io.Pipe()
			go func() {
				for _, part := range []string{"one", "two", "three"} {
					_, _ = io.WriteString(feed, part)
					if arrived := <-w.api.parts; arrived != part {
						t.Errorf("the API got %q, not %q", arrived, part)
					}
				}
				_ = feed.Close()
			}()
			w.stream(ua, http.MethodPut, "/api/parts", body) //nolint:bodyclose // stream does
		})
	}
}

func TestSocketBehindNginx(t *testing.T) {
	w := newWorld(t, front(), usual())
	ua := w.login()
	socket, answer, err := websocket.Dial(t.Context(), strings.Replace(appURL, "https", "wss", 1)+"/api/socket", &websocket.DialOptions{ //nolint:bodyclose // no answer has one here
		HTTPClient: &http.Client{Transport: w.transport()}, HTTPHeader: header(ua),
	})
	if err != nil {
		t.Fatalf("%v %v", answer, err)
	}
	defer func() { _ = socket.CloseNow() }()
	if err := socket.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, echo, err := socket.Read(t.Context()); err != nil || string(echo) != "hello" {
		t.Fatalf("%q %v", echo, err)
	}
	if res := ua.Fetch(http.MethodPost, "/auth/logout", ""); res.Status != http.StatusOK {
		t.Errorf("logout: %d", res.Status)
	}
	if _, _, err := socket.Read(t.Context()); websocket.CloseStatus(err) != 4401 {
		t.Errorf("after the logout: %v", err)
	}
}

package tokenhandler_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/session"
)

// headBytes sends a request over a bare connection and measures the whole head
// of the answer, status line and empty line included.
func (a *app) headBytes(method, target string, cookies []useragent.Cookie) (size int, status, head string) {
	a.tb.Helper()
	u := mustURL(a.tb, target)
	conn, err := (&net.Dialer{}).DialContext(a.tb.Context(), "tcp", mustURL(a.tb, a.url).Host)
	if err != nil {
		a.tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	pairs := make([]string, len(cookies))
	for i, c := range cookies {
		pairs[i] = c.Name + "=" + c.Value
	}
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nSec-Fetch-Site: same-origin\r\nCookie: %s\r\nContent-Length: 0\r\n\r\n",
		method, u.RequestURI(), u.Host, strings.Join(pairs, "; "))
	if err != nil {
		a.tb.Fatal(err)
	}
	var text strings.Builder
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			a.tb.Fatal(err)
		}
		text.WriteString(line)
		if line == "\r\n" {
			head = text.String()
			return len(head), strings.Fields(head)[1], head
		}
	}
}

// TestSessionAnswersFitProxyBuffers: nginx with default buffers refuses a head
// over 4,096 bytes with 502 "upstream sent too big header"; every peer measured
// breaks it (DESIGN "The hot path"). Tokens of DESIGN's sizes, on the wire.
func TestSessionAnswersFitProxyBuffers(t *testing.T) {
	const limit = 4096
	a := newApp(t, settings{sameSite: true, pool: cognitotest.Options{
		IDTokenSize: 1517, AccessTokenSize: 1175, RefreshTokenSize: 1580, Rotation: true, AccessTTL: 10 * time.Minute,
	}, session: func(c *session.Config) { c.KeepIDToken = true }})
	ua := a.browser()
	_, callback := a.begin(ua, "/auth/login?return_to=/projects/42/notes?filter=mine%26sort=updated")
	size, status, head := a.headBytes(http.MethodGet, callback, ua.Cookies())
	t.Logf("callback: %d bytes", size)
	if size > limit || status != "303" || !strings.Contains(head, sessionCookie+"=1") {
		t.Errorf("the callback's head has %d bytes: %s", size, head)
	}
	tokens := a.provider.newest()
	for name, bytes := range map[string]int{"ID": len(tokens.ID.Reveal()), "access": len(tokens.Access.Reveal()), "refresh": len(tokens.Refresh.Reveal())} {
		if bytes < 1100 {
			t.Errorf("the %s token has %d bytes only", name, bytes)
		}
	}

	a.loginIn(ua, "/")
	a.clock.Add(11 * time.Minute)
	size, status, head = a.headBytes(http.MethodPost, a.url+"/auth/refresh", ua.Cookies())
	t.Logf("refresh: %d bytes", size)
	if size > limit || status != "200" || !strings.Contains(head, sessionCookie+"=1") || !strings.Contains(head, activeCookie+"=") {
		t.Errorf("the refresh's head has %d bytes: %s", size, head)
	}
}

// TestLoginAnswersFitProxyBuffers: the longest return path and hint.
func TestLoginAnswersFitProxyBuffers(t *testing.T) {
	a := newApp(t, settings{})
	for _, returnTo := range []string{"/" + strings.Repeat("a", 1023), "/?" + strings.Repeat("%22", 340)} {
		size, status, head := a.headBytes(http.MethodGet, a.url+"/auth/login?login_hint="+strings.Repeat("x", 256)+"&return_to="+returnTo, nil)
		t.Logf("login: %d bytes", size)
		if size > 4096 || status != "302" {
			t.Errorf("%d bytes: %s", size, head)
		}
	}
}

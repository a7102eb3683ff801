package tokenhandler_test

import (
	"bufio"
	"fmt"
	"html"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/session"
)

// headBytes sends a request over a TCP connection and returns the size of the
// answer's head, with status line and empty line.
func (a *app) headBytes(method, target string, cookies []useragent.Cookie) (size int, status, head string) {
	a.tb.Helper()
	u := testkit.MustURL(a.tb, target)
	conn, err := (&net.Dialer{}).DialContext(a.tb.Context(), "tcp", testkit.MustURL(a.tb, a.url).Host)
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

// hstsBytes is the size of Strict-Transport-Security, which an https origin adds.
const hstsBytes = len("Strict-Transport-Security: max-age=31536000\r\n")

// TestSessionAnswersFitProxyBuffers checks that the head of an answer that sets a
// session fits into nginx's default buffers: over 4,096 bytes nginx answers 502
// "upstream sent too big header". The tokens have the size of Cognito's.
func TestSessionAnswersFitProxyBuffers(t *testing.T) {
	for name, c := range map[string]struct {
		keepID   bool
		returnTo string
		status   string
	}{
		"all tokens":                     {true, "/projects/42/notes?filter=mine%26sort=updated", "303"},
		"no ID token, long return path":  {false, "/" + strings.Repeat("a", 1023), "200"},
		"no ID token, usual return path": {false, "/" + strings.Repeat("a", 500), "303"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{sameSite: true, pool: cognitotest.Options{
				IDTokenSize: 1517, AccessTokenSize: 1175, RefreshTokenSize: 1580, Rotation: true, AccessTTL: 10 * time.Minute,
			}, session: func(s *session.Config) { s.KeepIDToken = c.keepID }})
			ua := a.browser()
			_, callback := a.begin(ua, "/auth/login?return_to="+c.returnTo)
			size, status, head := a.headBytes(http.MethodGet, callback, ua.Cookies())
			t.Logf("callback: %d bytes", size)
			if size+hstsBytes > 4096 || status != c.status || !strings.Contains(head, sessionCookie+"=1") {
				t.Errorf("the callback's head has %d bytes: %s", size, head)
			}
			tokens := a.provider.newest()
			for name, bytes := range map[string]int{"ID": len(tokens.ID.Reveal()), "access": len(tokens.Access.Reveal()), "refresh": len(tokens.Refresh.Reveal())} {
				if bytes < 1100 {
					t.Errorf("the %s token has %d bytes only", name, bytes)
				}
			}
			a.loginIn(ua, "/")
			a.clock.Advance(11 * time.Minute)
			size, status, head = a.headBytes(http.MethodPost, a.url+"/auth/refresh", ua.Cookies())
			t.Logf("refresh: %d bytes", size)
			if size+hstsBytes > 4096 || status != "200" || !strings.Contains(head, sessionCookie+"=1") || !strings.Contains(head, activeCookie+"=") {
				t.Errorf("the refresh's head has %d bytes: %s", size, head)
			}
		})
	}
}

// TestLongReturnPathTravelsInTheBody checks the page that redirects to a long return
// path.
func TestLongReturnPathTravelsInTheBody(t *testing.T) {
	a := newApp(t, settings{session: func(c *session.Config) { c.KeepIDToken = true }})
	for _, tail := range []string{"?a=1&b=2#c", `?x="><script>alert(1)</script>`, "?x=';url=https://evil.example", "?{{.Target}}"} {
		returnTo := "/" + strings.Repeat("a", 900) + tail
		ua := a.browser()
		tab, callback := a.begin(ua, "/auth/login?return_to="+url.QueryEscape(returnTo))
		res := a.back(tab, callback)
		want := "0; url=" + a.site.ReturnTo(returnTo)
		_, rest, _ := strings.Cut(string(res.Body), `content="`)
		refresh, _, _ := strings.Cut(rest, `"`)
		if got := html.UnescapeString(refresh); res.Status != http.StatusOK || got != want {
			t.Errorf("%d %s, want %s", res.Status, res.Body, want)
		}
		if strings.Contains(string(res.Body), "<script") || res.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s", res.Body)
		}
		a.wantSession(ua, true)
	}
}

// TestLoginAnswersFitProxyBuffers checks the redirect to the provider with the
// longest return path and hint.
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

// TestDeepLinks checks that the longest return path comes back from a login, and that
// the head of the answer that begins the login fits into the buffers of proxies.
func TestDeepLinks(t *testing.T) {
	a := newApp(t, settings{})
	for name, returnTo := range map[string]string{
		"ASCII":     "/" + strings.Repeat("a", 2047),
		"encoded":   "/" + strings.Repeat("%E8%A3%BD", 227),
		"with more": "/" + strings.Repeat("a", 1800) + "?x=" + strings.Repeat("b&", 100),
	} {
		path := "/auth/login?return_to=" + url.QueryEscape(returnTo) + "&identity_provider=Google&lang=de"
		size, status, head := a.headBytes(http.MethodGet, a.url+path, nil)
		if size > 4096 { // HSTS, which https adds, is counted when the answer is made
			t.Errorf("%s: the head of %s has %d bytes:\n%s", name, status, size, head)
		}
		ua := a.browser()
		tab, callback := a.begin(ua, path)
		res := a.back(tab, callback)
		target := res.Header.Get("Location")
		if _, rest, isPage := strings.Cut(string(res.Body), `content="0; url=`); isPage {
			target, _, _ = strings.Cut(rest, `"`)
			target = html.UnescapeString(target)
		}
		if target != returnTo {
			t.Errorf("%s: came back to %d %.80q", name, res.Status, target)
		}
		a.wantSession(ua, true)
	}
}

// TestLoginThatDoesNotFit: of a login that is too large for its cookie, first the parameters for
// another try are left out, and then the return path. The login itself works.
func TestLoginThatDoesNotFit(t *testing.T) {
	quotes := strings.Repeat(`"`, 256) // twice as long in JSON
	long, tooLong := "/"+strings.Repeat("a", 2000), "/?"+strings.Repeat(`"`, 1500)
	hints := url.Values{"login_hint": {quotes}, "identity_provider": {quotes[:128]}, "idp_identifier": {quotes[:128]}}
	for name, c := range map[string]struct {
		returnTo string
		extra    bool   // more parameters
		want     string // return_to of another try
		hint     bool   // another try has the parameters
	}{
		"fits":                  {"/x", true, "/x", true},
		"long return path":      {long, false, long, false},
		"and more":              {long, true, long, false},
		"too long by itself":    {tooLong, false, "", false},
		"too long, and more":    {tooLong, true, "", false},
		"nothing to return to ": {"/", true, "", true},
	} {
		a := newApp(t, settings{})
		query := url.Values{"return_to": {c.returnTo}}
		if c.extra {
			maps.Copy(query, hints)
		}
		tab, callback := a.begin(a.browser(), "/auth/login?"+query.Encode())
		res := a.back(tab, with(t, callback, func(q url.Values) { q.Set("error", "access_denied") }))
		_, rest, _ := strings.Cut(string(res.Body), `<a href="`)
		link, _, _ := strings.Cut(rest, `"`)
		again := testkit.MustURL(t, html.UnescapeString(link)).Query()
		if again.Get("return_to") != c.want || again.Has("login_hint") != c.hint {
			t.Errorf("%s: %.200s", name, link)
		}
	}
	a := newApp(t, settings{})
	tab, callback := a.begin(a.browser(), "/auth/login?"+url.Values{"return_to": {tooLong}, "login_hint": {quotes}}.Encode())
	if res := a.back(tab, callback); res.Location() != a.url+"/" {
		t.Errorf("the login ended with %d at %s", res.Status, res.Location())
	}
}

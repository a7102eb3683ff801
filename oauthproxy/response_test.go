package oauthproxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/tracing"
)

// answers starts an API whose responses all have these header lines.
func answers(t *testing.T, status int, lines ...string) *upstream {
	t.Helper()
	return newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Add(name, value)
		}
		w.WriteHeader(status)
	})
}

// Response headers that would change the app's site are removed.
func TestResponseHeadersRemoved(t *testing.T) {
	for _, line := range []string{
		"Set-Cookie: evil=1; Path=/", "set-cookie: __Host-Http-session=evil; Path=/; Secure; HttpOnly", "Set-Cookie2: evil=1",
		`Clear-Site-Data: "evil", "*"`, "Strict-Transport-Security: max-age=0; evil", "Server: evil/1.0", "X-Request-Id: evil", "x-request-id: evil",
		"Access-Control-Allow-Origin: https://evil.example", "Access-Control-Allow-Credentials: evil",
		"access-control-max-age: evil", "Access-Control-Allow-Private-Network: evil", `Alt-Svc: h3="evil.example:443"`, "Public-Key-Pins: evil",
		"Service-Worker-Allowed: /evil", `NEL: {"report_to":"evil","max_age":600}`, `Report-To: {"group":"evil","max_age":600,"endpoints":[]}`,
		"Accept-CH: evil", "Set-Login: logged-in; evil", "Secure-Session-Registration: (ES256);path=\"evil\"", "Sec-Session-Registration: evil",
		"Connection: X-Evil, Content-Type", "Keep-Alive: evil", "Proxy-Authenticate: evil", "Upgrade: evil",
		"X-Accel-Redirect: /evil", "X-Accel-Expires: 60, evil", "X-Accel-Limit-Rate: evil", "X-Sendfile: /evil",
		"Refresh: 0; url=https://evil.example/", `Reporting-Endpoints: default="https://evil.example/"`, "X-Reproxy-URL: http://evil.example/",
		"X-Reproxy-Expected-Size: evil", "X-LIGHTTPD-send-file: /evil", "X-Lighttpd-Send-Tempfile: /evil", "X-LiteSpeed-Location: /evil",
		"X-Litespeed-Cache-Control: evil", "X-Sendfile-Temporary: /evil", "X-Send-File: /evil", "X-AppEngine-BlobKey: evil", "Critical-CH: evil",
		`Use-As-Dictionary: match="/*evil"`, "Attribution-Reporting-Register-Source: evil", "Expect-CT: max-age=60, evil",
		"CDN-Cache-Control: max-age=60, evil", "Cloudflare-CDN-Cache-Control: evil", "Surrogate-Control: evil",
	} {
		t.Run(line, func(t *testing.T) {
			up := answers(t, http.StatusOK, line, line, "X-Evil-Kept: yes", "X-Accel-Buffering: no", "Content-Security-Policy: sandbox", "ETag: \"e\"")
			p := newProxy(t, api(t, up.URL))
			got := p.get(t, "/api/x")
			for name, values := range got.Header {
				if strings.Contains(strings.Join(values, " "), "evil") {
					t.Errorf("the client saw %s: %q", name, values)
				}
			}
			wantCookie(t, got)
			for name, want := range map[string]string{
				"X-Evil-Kept": "yes", "X-Accel-Buffering": "no", "Content-Security-Policy": "sandbox", "Etag": `"e"`, "X-Content-Type-Options": "nosniff",
				"Strict-Transport-Security": "max-age=31536000", "Access-Control-Allow-Origin": "",
			} {
				if values := strings.Join(got.Header[name], "|"); values != want {
					t.Errorf("%s: %q, want %q", name, values, want)
				}
			}
		})
	}
}

// A response without a type stays without one: net/http could guess text/html, and a
// browser would run the response's scripts as the app's, whatever nosniff says.
func TestContentTypeIsNotGuessed(t *testing.T) {
	const page = "<!doctype html><script>alert(1)</script>"
	length := "Content-Length: " + strconv.Itoa(len(page)) + "\r\n"
	for name, lines := range map[string]string{"with length": length, "until the end": "", "empty type": length + "Content-Type:\r\n"} {
		route := api(t, rawUpstream(t, "HTTP/1.1 200 OK\r\n"+lines+"Connection: close\r\n\r\n"+page))
		for protocol, p := range map[string]*proxy{"HTTP/1.1": newProxy(t, route), "HTTP/2.0": newHTTP2Proxy(t, route)} {
			got := p.get(t, "/api/x")
			if got.Proto != protocol || got.body != page || got.Header.Get("Content-Type") != "" {
				t.Errorf("%s: answered over %s %q as %q", name, got.Proto, got.body, got.Header["Content-Type"])
			}
		}
	}
	// A given type is kept, and our error responses have theirs.
	p := newProxy(t, api(t, answers(t, http.StatusOK, "Content-Type: image/x-odd").URL))
	if got := p.get(t, "/api/x").Header["Content-Type"]; len(got) != 1 || got[0] != "image/x-odd" {
		t.Errorf("Content-Type %q", got)
	}
	p = newProxy(t, api(t, rawUpstream(t, "")))
	wantProblem(t, p.get(t, "/api/x"), http.StatusBadGateway, "upstream_error")
}

// An allowed origin gets our CORS headers and not the upstream's.
func TestCORSIsOurs(t *testing.T) {
	up := answers(t, http.StatusOK, "Access-Control-Allow-Origin: *", "Access-Control-Expose-Headers: X-Total-Count", "Vary: Accept")
	p := newProxy(t, api(t, up.URL))
	r := p.request(t, http.MethodGet, "/api/x", http.NoBody, "Origin", allowedOrigin)
	r.Header.Set("Sec-Fetch-Site", "same-site")
	got := p.do(t, r)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": allowedOrigin, "Access-Control-Allow-Credentials": "true",
		"Access-Control-Expose-Headers": "Retry-After, X-Request-Id, ETag, Proxy-Status|X-Total-Count", "Vary": "Origin, Sec-Fetch-Site|Accept|Cookie",
	} {
		if values := strings.Join(got.Header[name], "|"); values != want {
			t.Errorf("%s: %q, want %q", name, values, want)
		}
	}
}

func TestCacheControl(t *testing.T) {
	for _, tt := range []struct {
		stored   []string
		personal string
	}{
		{nil, "no-store"},
		{[]string{""}, "no-store"},
		{[]string{"no-store"}, "no-store"},
		{[]string{"public, max-age=60"}, "private, max-age=60"},
		{[]string{"PUBLIC,MAX-AGE=60"}, "private, max-age=60"},
		{[]string{"max-age=60, s-maxage=600"}, "private, max-age=60"},
		{[]string{"no-cache"}, "private, no-cache"},
		{[]string{"private, max-age=5"}, "private, max-age=5"},
		{[]string{"private"}, "private"},
		{[]string{"public, no-store"}, "no-store"},
		{[]string{"must-understand, no-store, max-age=60"}, "no-store"},
		{[]string{"public"}, "private"},
		// All lines count, not only the first.
		{[]string{"max-age=60", "no-store"}, "no-store"},
		{[]string{"max-age=60", "public"}, "private, max-age=60"},
		{[]string{"private", "max-age=60"}, "private, max-age=60"},
		{[]string{`no-cache="Set-Cookie", public`}, `private, no-cache="set-cookie"`},
		{[]string{`private="X-Foo", public`}, `private, private="x-foo"`},
		// In quotes no-store is the name of a header and not a directive.
		{[]string{`no-cache="a, private, b", s-maxage=60`}, `private, no-cache="a, b"`},
	} {
		t.Run(strings.Join(tt.stored, "|"), func(t *testing.T) {
			lines := []string{"CDN-Cache-Control: public"}
			for _, line := range tt.stored {
				lines = append(lines, "Cache-Control: "+line)
			}
			up := answers(t, http.StatusOK, lines...)
			p := newProxy(t, api(t, up.URL))
			p.tokens.cookie = ""
			got := p.get(t, "/api/x")
			if stored := strings.Join(got.Header["Cache-Control"], "|"); stored != tt.personal || got.Header["Cdn-Cache-Control"] != nil {
				t.Errorf("Cache-Control %q, want %q; CDN %q", stored, tt.personal, got.Header["Cdn-Cache-Control"])
			}
			// The browser's next user must not get it from the browser's cache.
			if vary := strings.Join(got.Header["Vary"], ", "); !strings.Contains(vary, "Cookie") {
				t.Errorf("Vary %q", vary)
			}
			p.tokens.cookie = sessionCookie
			wantCookie(t, p.get(t, "/api/x"))
		})
	}
}

// Every response of an upstream gets our cookies and headers, whatever its status.
func TestEveryStatus(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 409, 429, 500, 502, 503, 599, 999} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			const location = "http://evil.example/else?where#x"
			up := answers(t, status, "Location: "+location, "Retry-After: 5", `WWW-Authenticate: Bearer error="invalid_token"`, "X-Content-Type-Options: other")
			p := newProxy(t, api(t, up.URL))
			got := p.get(t, "/api/x")
			wantCookie(t, got)
			if got.StatusCode != status || got.Header.Get("Location") != location || got.Header.Get("Retry-After") != "5" {
				t.Errorf("answered %d %v", got.StatusCode, got.Header)
			}
			if got.Header.Get("X-Content-Type-Options") != "nosniff" || got.Header.Get("WWW-Authenticate") == "" || got.body != "" {
				t.Errorf("answered %v %q", got.Header, got.body)
			}
			up.last(t) // one request: no redirect was followed
		})
	}
}

// Browsers must not ask the user for a password, which would not reach the upstream.
func TestBasicChallengesAreRemoved(t *testing.T) {
	const bearer = `Bearer realm="api", error="invalid_token", error_description="no basic rights"`
	up := answers(t, http.StatusUnauthorized, `WWW-Authenticate: Basic realm="inside"`, "WWW-Authenticate: "+bearer, "WWW-Authenticate: negotiate",
		`WWW-Authenticate: Bearer, Digest realm="x"`)
	if got := newProxy(t, api(t, up.URL)).get(t, "/api/x").Header["Www-Authenticate"]; len(got) != 1 || got[0] != bearer {
		t.Errorf("WWW-Authenticate %q", got)
	}
	up = answers(t, http.StatusUnauthorized, "WWW-Authenticate: NTLM")
	if got, there := newProxy(t, api(t, up.URL)).get(t, "/api/x").Header["Www-Authenticate"]; there {
		t.Errorf("WWW-Authenticate %q", got)
	}
}

// A page of an API that is opened directly must not run scripts as the app. A page with
// a policy of its own keeps that.
func TestPagesOfUpstreamsAreSandboxed(t *testing.T) {
	for line, want := range map[string]string{
		"Content-Type: text/html": "sandbox", "Content-Type: Text/HTML; charset=utf-8": "sandbox", "Content-Type: application/xhtml+xml": "sandbox",
		"Content-Type: image/svg+xml": "sandbox", "Content-Type: text/xml": "sandbox", "Content-Type: Text/XSL": "sandbox", "Content-Type: text/rdf": "sandbox",
		"Content-Type: multipart/x-mixed-replace;boundary=x": "sandbox",
		"Content-Type: application/json":                     "", "Content-Type: application/pdf": "", "X-None: ": "",
		"Content-Type: application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "",
		"Content-Type: text/plain, text/html":                                             "sandbox",
	} {
		got := newProxy(t, api(t, answers(t, http.StatusOK, line).URL)).get(t, "/api/x")
		if policy := got.Header.Get("Content-Security-Policy"); policy != want {
			t.Errorf("%s: Content-Security-Policy %q, want %q", line, policy, want)
		}
	}
	for _, status := range []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusInternalServerError} { // they echo paths
		got := newProxy(t, api(t, answers(t, status, "Content-Type: text/html").URL)).get(t, "/api/x")
		if policy := got.Header.Get("Content-Security-Policy"); policy != "sandbox" {
			t.Errorf("%d: Content-Security-Policy %q", got.StatusCode, policy)
		}
	}
	saved := answers(t, http.StatusOK, "Content-Type: text/html", `Content-Disposition: Attachment; filename="report.html"`)
	if got := newProxy(t, api(t, saved.URL)).get(t, "/api/x").Header["Content-Security-Policy"]; got != nil {
		t.Errorf("what is only saved: Content-Security-Policy %q", got)
	}
	// A browser would apply the header of a 304 to the stored page, which may have another policy.
	unchanged := rawUpstream(t, "HTTP/1.1 304 Not Modified\r\nContent-Type: text/html\r\n\r\n")
	if got := newProxy(t, api(t, unchanged)).get(t, "/api/x"); got.StatusCode != http.StatusNotModified || got.Header["Content-Security-Policy"] != nil {
		t.Errorf("answered %d, Content-Security-Policy %q", got.StatusCode, got.Header["Content-Security-Policy"])
	}
	up := answers(t, http.StatusOK, "Content-Type: text/html", "Content-Security-Policy: script-src 'self'")
	if got := newProxy(t, api(t, up.URL)).get(t, "/api/x").Header["Content-Security-Policy"]; len(got) != 1 || got[0] != "script-src 'self'" {
		t.Errorf("Content-Security-Policy %q", got)
	}
}

func TestHead(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "12345") })
	p := newProxy(t, api(t, up.URL))
	got := p.do(t, p.request(t, http.MethodHead, "/api/x", http.NoBody))
	wantCookie(t, got)
	if got.StatusCode != http.StatusOK || got.ContentLength != 12345 || up.last(t).Method != http.MethodHead {
		t.Errorf("answered %d, length %d", got.StatusCode, got.ContentLength)
	}
}

// Interim responses (100, 103) are not passed on: their headers would not be cleaned.
func TestInterimAnswers(t *testing.T) {
	t.Run("untraced", func(t *testing.T) { interimAnswers(t, nil) })
	t.Run("traced", func(t *testing.T) {
		tracer, _ := newTracer()
		interimAnswers(t, tracer)
	})
}

func interimAnswers(t *testing.T, tracer *tracing.Tracer) {
	t.Helper()
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "evil=1")
		w.Header().Set("Link", "</x>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		_, _ = io.Copy(w, r.Body) // with Expect, net/http first sends a 100
	})
	p := newTracedProxy(t, tracer, api(t, up.URL))
	for _, expect := range []string{"X-Not: expected", "Expect: 100-continue"} {
		conn := p.conn(t)
		_, _ = io.WriteString(conn, "POST /api/x HTTP/1.1\r\nHost: app.example.com\r\nSec-Fetch-Site: same-site\r\nOrigin: "+allowedOrigin+
			"\r\nConnection: close\r\nContent-Length: 2\r\n"+expect+"\r\n\r\nab")
		text, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		wire := strings.TrimPrefix(string(text), "HTTP/1.1 100 Continue\r\n\r\n") // the proxy's own
		if strings.Contains(wire, "evil") || !strings.HasPrefix(wire, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%s: the client read\n%s", expect, wire)
		}
		for _, name := range []string{"X-Request-Id", "Strict-Transport-Security", "Access-Control-Allow-Origin", "Vary: Origin", "Set-Cookie: __Host"} {
			if !strings.Contains(wire, "\r\n"+name) {
				t.Errorf("%s: the answer lost %s:\n%s", expect, name, wire)
			}
		}
	}
}

// Trailers are not passed on: software that merges them into the header would let an
// upstream set what is removed there.
func TestResponseTrailers(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Announced, Set-Cookie")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Announced", "evil")
		w.Header().Set("Set-Cookie", "evil=1")
		w.Header().Set(http.TrailerPrefix+"Clear-Site-Data", "evil")
	})
	p := newProxy(t, api(t, up.URL))
	conn := p.conn(t)
	_, _ = io.WriteString(conn, "GET /api/x HTTP/1.1\r\nHost: h\r\nSec-Fetch-Site: same-origin\r\nTE: trailers\r\nConnection: close\r\n\r\n")
	wire, err := io.ReadAll(conn)
	if err != nil || strings.Contains(string(wire), "evil") || strings.Contains(string(wire), "Trailer") || !strings.Contains(string(wire), "body") {
		t.Errorf("the client read, %v,\n%s", err, wire)
	}
}

// A 101 to a request without an upgrade must not open a tunnel to the client.
func TestSwitchingProtocols(t *testing.T) {
	for _, answer := range []string{
		"HTTP/1.1 101 Switching Protocols\r\n\r\nGET /evil",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: evil\r\n\r\nGET /evil",
		"HTTP/1.1 042 Odd\r\nContent-Length: 0\r\n\r\n",
	} {
		p := newProxy(t, api(t, rawUpstream(t, answer)))
		got := p.get(t, "/api/x")
		wantProblem(t, got, http.StatusBadGateway, "upstream_error")
		wantCookie(t, got)
	}
}

// Over HTTP/2 a status can be any number. net/http's server would panic if it were passed
// on.
func TestInvalidStatus(t *testing.T) {
	up := tcpServer(t, func(conn net.Conn) {
		_, _ = io.CopyN(io.Discard, conn, int64(len(http2.ClientPreface)))
		frames := http2.NewFramer(conn, conn)
		_ = frames.WriteSettings()
		_ = frames.WriteSettingsAck()
		for asked := false; !asked; {
			frame, err := frames.ReadFrame()
			if err != nil {
				return
			}
			_, asked = frame.(*http2.HeadersFrame)
		}
		_ = frames.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 1, EndHeaders: true, EndStream: true,
			BlockFragment: []byte("\x08\x041000"), // field 8 of HPACK's static table is :status
		})
		_, _ = io.Copy(io.Discard, conn)
	})
	p := newProxy(t, api(t, strings.Replace(up, "http", "h2c", 1)))
	wantProblem(t, p.get(t, "/api/x"), http.StatusBadGateway, "upstream_error")
	if p.log.Contains("panic") {
		t.Error(p.log)
	}
}

// An upstream that sends two responses at once must not answer the next request with the
// second one: the connection is closed. net/http closes it a moment after the first
// response, so the test waits for that.
func TestResponseSplitting(t *testing.T) {
	closed := make(chan struct{}, 5)
	up := tcpServer(t, func(conn net.Conn) {
		requests := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(requests)
			if err != nil {
				closed <- struct{}{}
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(r.URL.Path))+"\r\n\r\n"+r.URL.Path+
				"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		}
	})
	p := newProxy(t, api(t, up))
	for range 5 {
		if got := p.get(t, "/api/mine"); got.StatusCode != http.StatusOK || got.body != "/api/mine" {
			t.Errorf("answered %d %q", got.StatusCode, got.body)
		}
		select {
		case <-closed:
		case <-time.After(testkit.Deadline):
			t.Fatal("the connection is kept")
		}
	}
}

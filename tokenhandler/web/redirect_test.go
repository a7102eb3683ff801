package web_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cognito-token-handler/tokenhandler/web"
)

// corpora are the files of open redirects and the minimum numbers of payloads in them, so
// that the tests fail if a file is moved or emptied.
var corpora = map[string]int{"open_redirects.txt": 120, "open_redirects_oauth2_proxy.txt": 558}

func openRedirects(tb testing.TB) []string {
	tb.Helper()
	var payloads []string
	for name, fewest := range corpora {
		read := readPayloads(tb, name)
		if len(read) < fewest {
			tb.Fatalf("%s: %d payloads, want %d or more", name, len(read), fewest)
		}
		payloads = append(payloads, read...)
	}
	return payloads
}

func readPayloads(tb testing.TB, name string) []string {
	tb.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var payloads []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "# ") {
			continue
		}
		payload, err := strconv.Unquote(lines.Text())
		if err != nil {
			tb.Fatalf("%s: %v", lines.Text(), err)
		}
		payloads = append(payloads, payload)
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return payloads
}

func TestReturnToRefusesOpenRedirects(t *testing.T) {
	s := newSite(t)
	for _, payload := range openRedirects(t) {
		if got := s.ReturnTo(payload, "/auth"); !isOnAllowedOrigin(got) {
			t.Errorf("%q became %q", payload, got)
		}
		if got := s.ReturnTo("/x"+payload, "/auth"); !isOnAllowedOrigin(got) {
			t.Errorf("%q became %q", "/x"+payload, got)
		}
	}
}

func TestReturnTo(t *testing.T) {
	s := newSite(t)
	for raw, want := range map[string]string{
		"":                             "/",
		"/":                            "/",
		"/notes":                       "/notes",
		"https:/notes":                 "/", // a scheme without a host is no path
		"web+app:/notes":               "/",
		"/notes/":                      "/notes/",
		"/a/b.c/~d;e=f,g:h@i":          "/a/b.c/~d;e=f,g:h@i",
		"/notes?sort=up&x=1#top":       "/notes?sort=up&x=1#top",
		"/search?q=//evil.example":     "/search?q=//evil.example", // a query does not change the host
		"/?next=https://evil.example/": "/?next=https://evil.example/",
		"/#//evil.example":             "/#//evil.example",
		"/caf%C3%A9/%E2%82%AC":         "/caf%C3%A9/%E2%82%AC",
		"/a%20b":                       "/a%20b",
		"/a%2Fb":                       "/a%2Fb",
		"/a%25b":                       "/a%25b",
		"/...":                         "/...",
		"/a b":                         "/a%20b",
		"/my orders?q=a b#c d":         "/my%20orders?q=a%20b#c%20d",
		"?x=1":                         "/?x=1",
		"#x":                           "/#x",
		"?":                            "/",
		"#":                            "/",
		"/製品/1":                        "/%E8%A3%BD%E5%93%81/1",
		"/\xff":                        "/",
		"/a%zz":                        "/",
		"/café":                        "/caf%C3%A9",
		"/a//b":                        "/",
		"/a/../b":                      "/",
		"/a?q=\\":                      "/",
		"/a%5Cb":                       "/",
		"/%5Cevil.example":             "/",
		"//evil.example/x":             "/",
		"https://u@app.example.com/x":  "/",
		"//app.example.com/x":          "/",
		"/a%0Ab":                       "/",
		"/a%00b":                       "/",
		"/a%1Fb":                       "/",
		"/a%7Fb":                       "/",
		"notes":                        "/",

		allowedOrigin:                   allowedOrigin + "/",
		allowedOrigin + "/":             allowedOrigin + "/",
		allowedOrigin + "/x?y=z#w":      allowedOrigin + "/x?y=z#w",
		allowedOrigin + "?x=1":          allowedOrigin + "/?x=1",
		allowedOrigin + "/auth/x":       allowedOrigin + "/auth/x", // a path of another app
		allowedOrigin + "/../x":         "/",
		publicOrigin:                    "/",
		publicOrigin + "/notes?x#y":     "/notes?x#y",
		publicOrigin + "?x":             "/?x",
		publicOrigin + ":443/notes":     "/notes",
		publicOrigin + "/auth/login":    "/",
		publicOrigin + "//evil.example": "/",
		"/" + strings.Repeat("x", 2047): "/" + strings.Repeat("x", 2047),
		"/" + strings.Repeat("x", 2048): "/",

		publicOrigin + "/" + strings.Repeat("x", 2047): "/",
		"/" + strings.Repeat("é", 341):                 "/" + strings.Repeat("%C3%A9", 341),
		"/" + strings.Repeat("é", 342):                 "/",

		// A return to the login after the login would be a loop, in every spelling.
		"/auth":               "/",
		"/auth/":              "/",
		"/auth/login":         "/",
		"/auth?x":             "/",
		"/auth#x":             "/",
		"/%61uth/login":       "/",
		"/auth%2Flogin":       "/",
		"/x/%2e%2e/auth":      "/",
		"/%2e/auth/login":     "/",
		"/authors":            "/authors",
		"/storage/x":          "/",
		"/x/auth/login":       "/x/auth/login",
		"/storage-of-notes/x": "/storage-of-notes/x",
	} {
		if got := s.ReturnTo(raw, "/auth", "/storage"); got != want {
			t.Errorf("%q became %q, want %q", raw, got, want)
		}
	}
	if got := s.ReturnTo("/auth/login"); got != "/auth/login" {
		t.Errorf("without own prefixes: %q", got)
	}
}

func TestRedirect(t *testing.T) {
	s := newSite(t)
	for target, want := range map[string]string{
		"/notes?x#y":                       "/notes?x#y",
		"https://id.example.com/authorize": "https://id.example.com/authorize",
		"//evil.example":                   "/",
		"/x y":                             "/",
		"/x\x7f":                           "/",
		"/x\\y":                            "/",
		"javascript:alert(1)":              "/",
		"/x\r\nSet-Cookie: a=b":            "/",
	} {
		rec := httptest.NewRecorder()
		s.Redirect(rec, http.StatusSeeOther, target)
		if rec.Code != 303 || rec.Header().Get("Location") != want || rec.Header().Get("Content-Length") != "0" {
			t.Errorf("%q: %d to %q, want %q", target, rec.Code, rec.Header().Get("Location"), want)
		}
		if rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("Referrer-Policy") != "no-referrer" || rec.Body.Len() != 0 {
			t.Errorf("%q: %v %q", target, rec.Header(), rec.Body)
		}
	}
}

// FuzzReturnTo checks that every result is on the public or an allowed origin and is not
// a path of the login, for Go's parser and for a browser's.
func FuzzReturnTo(f *testing.F) {
	for _, payload := range openRedirects(f) {
		f.Add(payload)
	}
	for _, seed := range []string{"/", "/a?b#c", allowedOrigin + "/x", allowedOrigin, "/%61uth", "/auth", "/caf%C3%A9"} {
		f.Add(seed)
	}
	s := web.NewSite(siteConfig(f, io.Discard))
	f.Fuzz(func(t *testing.T, raw string) {
		got := s.ReturnTo(raw, "/auth")
		if !isOnAllowedOrigin(got) {
			t.Errorf("%q became %q, which is on another origin", raw, got)
		}
		if _, path := browse(publicOrigin, got); strings.HasPrefix(got, "/") && entersAuth(path) {
			t.Errorf("%q became %q, a loop", raw, got)
		}
		if again := s.ReturnTo(got, "/auth"); again != got {
			t.Errorf("%q became %q, and that %q", raw, got, again)
		}
	})
}

func entersAuth(path string) bool {
	decoded, err := url.PathUnescape(path)
	return err != nil || decoded == "/auth" || strings.HasPrefix(decoded, "/auth/")
}

// isOnAllowedOrigin reports whether net/url and browsers both take target for a URL of
// the public or an allowed origin.
func isOnAllowedOrigin(target string) bool {
	base, err := url.Parse(publicOrigin)
	if err != nil {
		return false
	}
	u, err := base.Parse(target)
	if err != nil || u.User != nil {
		return false
	}
	origin, path := browse(publicOrigin, target)
	return isAllowed(web.Origin(u)) && isAllowed(origin) && !strings.HasPrefix(path, "//") && !strings.ContainsAny(target, "\r\n\t\\ ")
}

func isAllowed(origin string) bool { return origin == publicOrigin || origin == allowedOrigin }

// browse resolves a Location against base like the parser of the WHATWG URL standard,
// which differs from RFC 3986: it removes controls and spaces at both ends, and tabs and
// line ends everywhere. A backslash is a slash, any number of slashes may precede a host,
// everything up to the last @ is user information, and %2e is a dot. The origin is "" if
// the URL could run a script or loads nothing.
func browse(base, target string) (origin, path string) {
	target = strings.TrimFunc(target, func(c rune) bool { return c <= ' ' })
	target = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(target)
	head, _, _ := strings.Cut(target, "#")
	head, _, _ = strings.Cut(head, "?")
	scheme, rest, absolute := strings.Cut(head, ":")
	baseScheme, _, _ := strings.Cut(base, ":")
	if absolute = absolute && isScheme(scheme); absolute {
		if scheme = strings.ToLower(scheme); scheme != "https" && scheme != "http" {
			return "", ""
		}
	} else {
		scheme, rest = baseScheme, head
	}
	rest = strings.ReplaceAll(rest, `\`, "/")
	if !strings.HasPrefix(rest, "//") && (!absolute || scheme == baseScheme) {
		return base, removeDotSegments(rest)
	}
	authority, path, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	host := strings.ToLower(authority[strings.LastIndex(authority, "@")+1:])
	return web.Origin(&url.URL{Scheme: scheme, Host: host}), removeDotSegments("/" + path)
}

func isScheme(s string) bool {
	for i, c := range strings.ToLower(s) {
		if letter := c >= 'a' && c <= 'z'; !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", c)) {
			return false
		}
	}
	return s != ""
}

// removeDotSegments removes dot segments, including escaped ones (URL standard §4.4).
func removeDotSegments(path string) string {
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		case ".":
		default:
			kept = append(kept, segment)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

// TestBrowse compares browse with the behaviour of browsers.
func TestBrowse(t *testing.T) {
	for target, want := range map[string][2]string{
		"/a":                     {publicOrigin, "/a"},
		"//evil.example/a":       {"https://evil.example", "/a"},
		`/\evil.example/a`:       {"https://evil.example", "/a"},
		"/\t/evil.example":       {"https://evil.example", "/"},
		"////evil.example":       {"https://evil.example", "/"},
		" //evil.example":        {"https://evil.example", "/"},
		"https:a":                {publicOrigin, "/a"},
		"https:/a":               {publicOrigin, "/a"},
		"https:///evil.example":  {"https://evil.example", "/"},
		"http:evil.example":      {"http://evil.example", "/"},
		"HTTPS://EVIL.example/":  {"https://evil.example", "/"},
		"java\nscript:alert(1)":  {"", ""},
		"//a@b@evil.example:443": {"https://evil.example", "/"},
		"/a/%2E./b":              {publicOrigin, "/b"},
		"/%2e%2e//evil.example":  {publicOrigin, "//evil.example"},
		"/a/..":                  {publicOrigin, "/"},
		"?x://y":                 {publicOrigin, "/"},
		"/x:y":                   {publicOrigin, "/x:y"},
	} {
		if origin, path := browse(publicOrigin, target); origin != want[0] || path != want[1] {
			t.Errorf("%q: %s %s, want %s", target, origin, path, want)
		}
	}
}

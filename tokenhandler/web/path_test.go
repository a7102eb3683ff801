package web_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"cognito-token-handler/tokenhandler/web"
)

// parsed returns the request that net/http makes from a request target, or nil if
// net/http refuses the target.
func parsed(method, target string) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: app.example.com\r\n\r\n")))
	if err != nil {
		return nil
	}
	return r
}

func TestCheckPath(t *testing.T) {
	for _, tt := range []struct {
		target string
		want   string // a word of the error; empty if it passes
	}{
		{"/", ""},
		{"/api/", ""},
		{"/api/x", ""},
		{"/api/x/", ""},
		{"/api/x.y/..z/z../...", ""},
		{"/api/a%20b", ""},
		{"/api/100%25", ""},
		{"/api/100%25zz", ""},
		{"/api/100%25", ""},
		{"/api/100%25a", ""},
		{"/api/%25+1", ""},
		{"/api/%251+", ""},
		{"/api/%25GG", ""},
		{"/api/%25aG", ""},
		{"/api/%25=1", ""},
		{"/api/%25a=", ""},
		{"/api/%25g1", ""},
		{"/api/%25Ag", ""},
		{"/api/caf%C3%A9", ""},
		{"/api/café", ""},
		{"/api/%61pi", ""},
		{"/api/x;v=1/y", ""},
		{"/api/x%3Bv=1", ""},
		{"/api/x%3Bv2e2f5c", ""},
		{"/api/what%3F", ""},
		{"/api/c%23", ""},
		{"/api/a:b@c+d,e=f&g$h!i*j(k)l'm~n_o-p", ""},
		{"/api/x?../..//%2e%2f%5c\\%252e", ""}, // the rules do not apply to the query

		{"/api/../x", "dot segment"},
		{"/api/..", "dot segment"},
		{"/api/./x", "dot segment"},
		{"/.", "dot segment"},
		{"/..", "dot segment"},
		{"/api//x", "empty"},
		{"//api/x", "empty"},
		{"//evil.example/x", "empty"},
		{"/api/x//", "empty"},
		{"/api/..;/x", "dot segment"},
		{"/api/..;a=b/x", "dot segment"},
		{"/api/.;/x", "dot segment"},
		{"/api/..%3b/x", "dot segment"},
		{"/api/;/x", "empty"},
		{"/api/;v=1/x", "empty"},
		{"/;/api/x", "empty"},
		{"/api/%2e%2e/x", "encoded"},
		{"/api/%2E%2E/x", "encoded"},
		{"/api/.%2e/x", "encoded"},
		{"/api/x%2ey", "encoded"},
		{"/api%2fx", "encoded"},
		{"/api/%2F%2Fx", "encoded"},
		{"/api/x%5cy", "encoded"},
		{"/api/x%5Cy", "backslash"}, // as Go encodes a backslash
		{`/api/x\y`, "backslash"},
		{`/api/..\..\x`, "backslash"},
		{`/\evil.example/x`, "backslash"},
		{"/api/%252e%252e/x", "encoded"},
		{"/api/%252fx", "encoded"},
		{"/api/%25%32%65", "encoded"},
		{"/api/%255c", "encoded"},
		{"/api/%2541", "encoded"},
		{"/api/%00", "control"},
		{"/api/x%00.png", "control"},
		{"/api/x%0d%0aHost:y", "control"},
		{"/api/x%09", "control"},
		{"/api/x%7f", "control"},
		{"/api/%c0%af..", "UTF-8"},
		{"/api/%c0%ae%c0%ae/x", "UTF-8"},
		{"/api/%e0%80%af", "UTF-8"},
		{"/api/%f8%80%80%80%af", "UTF-8"},
		{"/api/%ff", "UTF-8"},
		{"/api/\xc0\xaf", "UTF-8"},
		{"/api/%ed%a0%80", "UTF-8"}, // half a surrogate pair
		{"/api/x#frag", "fragment"},
		{"/api/#/../x", "fragment"},
		{"/api/x?y#frag", "fragment"},
		{"http://evil.example/api/x", "must be a path"},
		{"https://app.example.com/api/x", "must be a path"},
		{"http:/api/x", "must be a path"},
		{"*", "must be a path"},
		{"mailto:x", "must be a path"},
	} {
		t.Run(tt.target, func(t *testing.T) {
			r := parsed(http.MethodGet, tt.target)
			if r == nil {
				t.Fatal("net/http refuses this itself")
			}
			err := web.CheckPath(r)
			if tt.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// In HTTP/2 a target can contain a space, because there is no request line. If it were
// forwarded over HTTP/1, an upstream would take the rest for the version.
func TestCheckPathRefusesSpacesOfHTTP2(t *testing.T) {
	for _, target := range []string{"/api/x?a b", "/api/x? HTTP/1.1", "/api/x y", "/api/x ", "/api/x?y "} {
		u, err := url.ParseRequestURI(target) // as net/http's HTTP/2 server does
		if err != nil {
			t.Fatal(err)
		}
		if err := web.CheckPath(&http.Request{Method: http.MethodGet, URL: u, RequestURI: target}); err == nil || !strings.Contains(err.Error(), "space") {
			t.Errorf("%q: got %v", target, err)
		}
	}
}

func TestCheckPathRefusesAuthorityForm(t *testing.T) {
	for _, target := range []string{"evil.example:443", "/"} {
		r := parsed(http.MethodConnect, target)
		if err := web.CheckPath(r); (err == nil) != (target == "/") {
			t.Errorf("CONNECT %s: %v", target, err)
		}
	}
}

// A URL that net/http never makes of a path is refused, too.
func TestCheckPathRefusesOtherURLs(t *testing.T) {
	for want, urls := range map[bool][]*url.URL{
		true:  {{Path: "/a"}},
		false: {{Path: "/a", Host: "evil.example"}, {Path: "/a", Scheme: "http"}, {Path: "/a", Opaque: "x"}, {Path: "a"}, {}},
	} {
		for _, u := range urls {
			if err := web.CheckPath(&http.Request{Method: http.MethodGet, URL: u}); (err == nil) != want {
				t.Errorf("%+v: %v", u, err)
			}
		}
	}
}

// net/http refuses these targets before CheckPath is called.
func TestNetHTTPRefuses(t *testing.T) {
	for _, target := range []string{"/api/\x00", "/api/\x7f", "/api/%", "/api/%2", "/api/%zz", "/api/%u002e", "api/x", "../x", "?x", "/a b"} {
		if r := parsed(http.MethodGet, target); r != nil {
			t.Errorf("%q passes as %q", target, r.URL.Path)
		}
	}
}

func TestRefusedPathIsAnsweredWithAProblem(t *testing.T) {
	h := newSite(t).PlainPath(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	if rec := serve(h, parsed(http.MethodGet, "/x")); rec.Code != http.StatusNoContent {
		t.Errorf("answered %d", rec.Code)
	}
	rec := serve(h, parsed(http.MethodGet, "/a/%2e%2e/secret-path"))
	var body struct{ Code, Detail string }
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if rec.Code != http.StatusBadRequest || body.Code != "invalid_request" || body.Detail == "" || strings.Contains(rec.Body.String(), "secret-path") {
		t.Errorf("answered %d %s", rec.Code, rec.Body)
	}
}

// FuzzPath checks that a path that passes means the same to every parser.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/api/x", "/api/../x", "/api/%2e%2e/x", "/api/..;/x", "/api//x", `/api/\..\x`, "/api/%252e%252e", "/%61pi/x", "/api/%c0%af",
		"/api/a%20b", "/api/;/x", "/api/x#y", "http://h/x", "*", "/api/%25", "/x/%3b", "/./x", "/api/%ef%bc%8f", "/a?b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		r := parsed(http.MethodGet, target)
		if r == nil || web.CheckPath(r) != nil {
			return
		}
		p := r.URL.Path
		if !utf8.ValidString(p) || strings.ContainsAny(p, "\\\x00\r\n") {
			t.Fatalf("%q passes as %q", target, p)
		}
		if clean := path.Clean(p); clean != p && clean+"/" != p {
			t.Errorf("%q cleans to %q", p, clean)
		}
		if again, err := url.PathUnescape(p); err == nil && again != p {
			t.Errorf("%q decodes once more to %q", p, again)
		}
		segments := strings.Split(p, "/")
		for i := range segments {
			segments[i], _, _ = strings.Cut(segments[i], ";")
		}
		bare := strings.Join(segments, "/")
		if clean := path.Clean(bare); clean != bare && clean+"/" != bare {
			t.Errorf("%q without parameters cleans to %q", p, clean)
		}
		if there, err := url.Parse(r.URL.EscapedPath()); err != nil || there.Path != p || there.Host != "" || there.Fragment != "" {
			t.Errorf("%q is forwarded as %q, read as %v, %v", p, r.URL.EscapedPath(), there, err)
		}
	})
}

func TestCheckSegments(t *testing.T) {
	for segments, want := range map[string]string{
		"a": "", "a/b.c/...": "", "a;..": "", "..a/b..": "",
		"": "has an empty segment", "/a": "has an empty segment", "a/": "has an empty segment", "a//b": "has an empty segment",
		".": "has a dot segment", "..": "has a dot segment", "a/../b": "has a dot segment", "a/.": "has a dot segment",
	} {
		got := ""
		if err := web.CheckSegments(segments); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", segments, got, want)
		}
	}
}

func TestUnder(t *testing.T) {
	for _, c := range []struct {
		path, prefix string
		want         bool
	}{
		{"/auth", "/auth", true},
		{"/auth/", "/auth", true},
		{"/auth/login", "/auth", true},
		{"/auth", "/auth/", true},
		{"/authors", "/auth", false},
		{"/aut", "/auth", false},
		{"/", "/auth", false},
		{"/x", "/", true},
	} {
		if got := web.Under(c.path, c.prefix); got != c.want {
			t.Errorf("%s under %s: %v, want %v", c.path, c.prefix, got, c.want)
		}
	}
}

package spa_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/spa"
)

// policyOf returns the directives of an answer's policy.
func policyOf(header http.Header) map[string]string {
	directives := map[string]string{}
	for part := range strings.SplitSeq(header.Get("Content-Security-Policy"), "; ") {
		name, sources, _ := strings.Cut(part, " ")
		directives[name] = sources
	}
	return directives
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// TestNonceIsNewEachTime: libraries that make style elements read it from the page. A page
// that was stored would have an old one beside the policy of a new answer.
func TestNonceIsNewEachTime(t *testing.T) {
	dir := newDir(t)
	const webpack = `window.__webpack_nonce__ = "__CSP_NONCE__"`
	write(t, filepath.Join(dir, "index.html"), `<!doctype html><meta property="csp-nonce" nonce="__CSP_NONCE__"><script>`+webpack+`</script><app-root ngCspNonce="__CSP_NONCE__">`)
	write(t, filepath.Join(dir, "index.html.br"), "brotli of the shell")
	h := newAppAt(t, time.Now().Add(time.Hour), spa.Config{Dir: dir})
	seen := map[string]bool{}
	for range 3 {
		rec := do(h, "GET", "/users", "Accept-Encoding", "br", "If-None-Match", "*", "Range", "bytes=0-1")
		found := regexp.MustCompile(`ngCspNonce="([A-Z2-7]{26})"`).FindStringSubmatch(rec.Body.String())
		if rec.Code != http.StatusOK || found == nil || seen[found[1]] {
			t.Fatalf("%d %v %s", rec.Code, rec.Header(), rec.Body)
		}
		nonce := found[1]
		seen[nonce] = true
		if strings.Count(rec.Body.String(), nonce) != 3 || strings.Contains(rec.Body.String(), spa.Placeholder) {
			t.Errorf("not everywhere: %s", rec.Body)
		}
		policy := policyOf(rec.Header())
		if want := "'self' 'nonce-" + nonce + "'"; policy["style-src"] != want {
			t.Errorf("style-src %s, want %s", policy["style-src"], want)
		}
		// A script that somebody brings into the page must not run because it knows the nonce.
		if want := "'self' " + hash(strings.ReplaceAll(webpack, spa.Placeholder, nonce)); policy["script-src"] != want {
			t.Errorf("script-src %s, want %s", policy["script-src"], want)
		}
		wantHeader(t, rec, map[string]string{"Cache-Control": "no-store", "ETag": "", "Last-Modified": "", "Content-Encoding": "", "Content-Type": "text/html; charset=utf-8"})
	}
	head := do(h, "HEAD", "/")
	if head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d %v", head.Code, head.Header())
	}
}

// TestNonceOfTheOperatorsPolicy: a nonce that is written into a policy is no secret.
func TestNonceOfTheOperatorsPolicy(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "about.html"), `<meta property="csp-nonce" nonce="__CSP_NONCE__">`)
	h := newApp(t, spa.Config{Dir: dir, ContentSecurityPolicy: "script-src 'nonce-__CSP_NONCE__'"})
	for _, target := range []string{"/", "/about", "/logo.svg"} {
		one, two := do(h, "GET", target).Header().Get("Content-Security-Policy"), do(h, "GET", target).Header().Get("Content-Security-Policy")
		if one == two || len(one) != len("script-src 'nonce-'")+26 {
			t.Errorf("%s: %s and %s", target, one, two)
		}
	}
}

// TestInlineScriptsOfTheBuild: what stands in a file of the build may run, and nothing else.
func TestInlineScriptsOfTheBuild(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "index.html"), "<!doctype html><base href=/><!-- <script>commented()</script> --><style>p{}</style><script>one()\r\ntwo()</script><script type=module>three()</script>"+
		`<script type="application/json">{"data":1}</script><script src="/x.js">ignored()</script><link media=print onload="this.media=&#39;all&#39;">`+
		`<p style="margin:0">&lt;script&gt;</p><textarea><script>text()</script></textarea><script>one()
two()</script>`)
	rec := do(newApp(t, spa.Config{Dir: dir}), "GET", "/")
	policy := policyOf(rec.Header())
	for name, want := range map[string]string{
		"script-src":      "'self' " + hash("one()\ntwo()") + " " + hash("three()"),
		"style-src":       "'self' " + hash("p{}"),
		"base-uri":        "'self'",
		"script-src-attr": "'unsafe-hashes' " + hash("this.media='all'"),
		"style-src-attr":  "'unsafe-hashes' " + hash("margin:0"),
	} {
		if policy[name] != want {
			t.Errorf("%s %s, want %s", name, policy[name], want)
		}
	}
	write(t, filepath.Join(dir, "kit.html"), "<script>__sveltekit_1 = {}</script>")
	if got := policyOf(do(newApp(t, spa.Config{Dir: dir}), "GET", "/kit").Header()); got["base-uri"] != "'none'" || !strings.HasPrefix(got["style-src-attr"], "'unsafe-hashes' 'sha256-") {
		t.Errorf("without an element base, and with SvelteKit: %v", got)
	}
	if rec.Header().Get("ETag") == "" {
		t.Error("a page without a nonce can be stored")
	}
	write(t, filepath.Join(dir, "index.html"), "<script>changed()</script>")
	if got := policyOf(do(newApp(t, spa.Config{Dir: dir}), "GET", "/").Header())["script-src"]; got != "'self' "+hash("changed()") {
		t.Errorf("after a deployment: %s", got)
	}
}

// TestTypesOfInlineScripts: a policy applies to these, and other types are data.
func TestTypesOfInlineScripts(t *testing.T) {
	dir := newDir(t)
	for kind, runs := range map[string]bool{
		"": true, "module": true, " MODULE ": true, "importmap": true, "speculationrules": true, "text/javascript": true, "application/ecmascript": true,
		"application/json": false, "text/template": false, "text/javascript-template": false, "x": false,
	} {
		write(t, filepath.Join(dir, "page.html"), `<script type="`+kind+`">one()</script>`)
		got := policyOf(do(newApp(t, spa.Config{Dir: dir}), "GET", "/page").Header())["script-src"]
		if want := map[bool]string{true: "'self' " + hash("one()"), false: "'self'"}[runs]; got != want {
			t.Errorf("type %q: script-src %s, want %s", kind, got, want)
		}
	}
}

// TestTextBesideScripts: only what stands in the element itself may run.
func TestTextBesideScripts(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "page.html"), "<script></script>one()<script><!-- c --></script><style></style>two()<script src=x></script>three()<br/>four()<base target=_blank>")
	got := policyOf(do(newApp(t, spa.Config{Dir: dir}), "GET", "/page").Header())
	if got["script-src"] != "'self' "+hash("<!-- c -->") || got["style-src"] != "'self'" || got["base-uri"] != "'self'" {
		t.Errorf("%v", got)
	}
}

// TestPagesOfStaticExports: Next.js and SvelteKit write a file for each page.
func TestPagesOfStaticExports(t *testing.T) {
	dir := newDir(t)
	for name, content := range map[string]string{
		"about.html": "about", "about/x.txt": "data", "blog/index.html": "blog", "blog/first.html": "first", "404.html": "missing", ".hidden.html": planted, "docs.html/x": "",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	wantPages(t, newApp(t, spa.Config{Dir: dir}), map[string]string{
		"/about": "200 about", "/about/": "200 about", "/about.html": "200 about", "/blog": "200 blog", "/blog/": "200 blog", "/blog/first": "200 first",
		"/nothing": "200 " + shell, "/docs": "200 " + shell, "/.hidden": "404 ", "/": "200 " + shell,
	})
	other := newDir(t)
	write(t, filepath.Join(other, "404.html"), "missing")
	write(t, filepath.Join(other, "_next"), "no directory")
	wantPages(t, newApp(t, spa.Config{Dir: other}), map[string]string{"/nothing": "200 " + shell})
	write(t, filepath.Join(dir, "_next/static/x.js"), "")
	wantPages(t, newApp(t, spa.Config{Dir: dir}), map[string]string{"/": "200 " + shell, "/about": "200 about", "/nothing": "404 missing", "/nothing.js": "404 "})
	write(t, filepath.Join(dir, "200.html"), "fallback")
	wantPages(t, newApp(t, spa.Config{Dir: dir}), map[string]string{"/": "200 " + shell, "/nothing": "200 fallback", "/nothing.js": "404 "})
}

// wantPages checks the status and the body of pages. The body of a problem is not compared.
func wantPages(t *testing.T, h http.Handler, pages map[string]string) {
	t.Helper()
	for target, want := range pages {
		rec := do(h, "GET", target)
		status, body, _ := strings.Cut(want, " ")
		if rec.Code != map[string]int{"200": 200, "404": 404}[status] || body != "" && rec.Body.String() != body {
			t.Errorf("%s: %d %s, want %s", target, rec.Code, rec.Body, want)
		}
	}
}

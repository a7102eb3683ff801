package spa_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/spa"
	"cognito-token-handler/test/testkit"
)

func TestExtraPolicy(t *testing.T) {
	dir := newDir(t)
	h := newApp(t, spa.Config{Dir: dir, StorageOrigin: bucket, ExtraPolicy: "script-src https://js.stripe.com; frame-src https://js.stripe.com  https://hooks.stripe.com;" +
		"CONNECT-SRC wss://live.example.com:8443; frame-ancestors https://portal.example.com;"})
	want := strings.NewReplacer(
		"script-src 'self'", "script-src 'self' https://js.stripe.com",
		"connect-src 'self' "+bucket, "connect-src 'self' "+bucket+" wss://live.example.com:8443",
		"frame-ancestors 'none'", "frame-ancestors https://portal.example.com; frame-src https://js.stripe.com https://hooks.stripe.com",
	).Replace(storagePolicy)
	for _, target := range []string{"/", "/sw.js"} {
		wantHeader(t, do(h, "GET", target), map[string]string{"Content-Security-Policy": want})
	}
	own := newApp(t, spa.Config{Dir: dir, ContentSecurityPolicy: configuredPolicy, ExtraPolicy: "script-src https://a.example; frame-src https://b.example"})
	wantHeader(t, do(own, "GET", "/"), map[string]string{
		"Content-Security-Policy": "default-src 'self'; script-src 'self' 'nonce-x' https://a.example; frame-src 'self' https://b.example",
	})
	const noDirective = "has a directive that takes no sources, or to which none can be added"
	const fixed = "has in script-src a nonce that is the same in every response, and not 'nonce-__CSP_NONCE__'"
	for text, fault := range map[string]string{
		"":                               "adds nothing",
		" ; ":                            "adds nothing",
		"script-src":                     "has script-src without a source",
		"default-src https://a.example":  noDirective,
		"sandbox allow-scripts":          noDirective,
		"img-src a.example; img-src *":   "has img-src twice",
		"script-src 'none'":              "has in script-src what is no source that can be added",
		"script-src https://a,b.example": "has in script-src what is no source that can be added",
		"script-src \"self\"":            "has in script-src what is no source that can be added",
		"img-src 'None'":                 "has in img-src what is no source that can be added",
		"script-src x__CSP_NONCE__":      "has in script-src what is no source that can be added",
		"script-src 'Nonce-abc'":         fixed,
		"script-src 'nonce-abc'":         fixed,
	} {
		if err := spa.CheckExtra(text); err == nil || err.Error() != fault {
			t.Errorf("%q: %v, want %s", text, err, fault)
		}
	}
	if _, err := spa.New(spa.Config{Dir: dir, ExtraPolicy: "sandbox", Site: newSite(t, time.Now())}); err == nil {
		t.Error("New takes what CheckExtra refuses")
	}
}

// TestNonceOfTheExtraPolicy: a nonce that is the same in every response, or that is the
// placeholder itself, is known to whoever brings a script into the page.
func TestNonceOfTheExtraPolicy(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "about.html"), `<script nonce="__CSP_NONCE__" src="https://cdn.example/x.js"></script>`)
	for name, own := range map[string]string{"built-in": "", "own": "default-src 'self'"} {
		h := newAppAt(t, time.Now().Add(time.Hour), spa.Config{Dir: dir, ContentSecurityPolicy: own, ExtraPolicy: "script-src 'nonce-__CSP_NONCE__'; style-src 'nonce-__CSP_NONCE__'"})
		seen := map[string]bool{}
		for _, target := range []string{"/", "/", "/about", "/about", "/logo.svg", "/logo.svg"} {
			rec := do(h, "GET", target)
			policy := policyOf(rec.Header())
			nonce := regexp.MustCompile(`'nonce-([A-Z2-7]{26})'`).FindStringSubmatch(policy["script-src"])
			if nonce == nil || seen[nonce[1]] || strings.Count(policy["style-src"], nonce[0]) != 1 {
				t.Fatalf("%s, %s: %v after %v", name, target, policy, seen)
			}
			seen[nonce[1]] = true
			if target == "/about" && !strings.Contains(rec.Body.String(), `nonce="`+nonce[1]+`"`) {
				t.Errorf("%s: the page has another nonce: %s", name, rec.Body)
			}
		}
	}
}

// TestExtraPolicyTakesNothingAway: a directive that is added must allow what its fallback
// has allowed (Content Security Policy Level 3, section 6.8.3).
func TestExtraPolicyTakesNothingAway(t *testing.T) {
	dir := newDir(t)
	for _, tt := range []struct{ own, extra, want string }{
		{"default-src 'self'", "img-src 'self' https://c.example", "default-src 'self'; img-src 'self' https://c.example"},
		{"default-src 'none'", "object-src a.example", "default-src 'none'; object-src a.example"},
		{"default-src 'None'", "object-src a.example", "default-src 'None'; object-src a.example"},
		{"script-src 'self'", "script-src-elem a.example; script-src b.example", "script-src 'self' b.example; script-src-elem 'self' b.example a.example"},
		{"default-src 'self'; child-src c.example", "frame-src f.example; worker-src w.example", "default-src 'self'; child-src c.example; frame-src c.example f.example; worker-src c.example w.example"},
		{"default-src d.example; script-src 'self'", "worker-src blob:", "default-src d.example; script-src 'self'; worker-src 'self' blob:"},
		{"default-src d.example; script-src 'self'", "child-src blob:", "default-src d.example; script-src 'self'; worker-src 'self' blob:; child-src d.example blob:"},
		{"script-src 'self' x.example 'nonce-__CSP_NONCE__' 'unsafe-inline'", "script-src-attr 'unsafe-hashes'", "script-src 'self' x.example 'nonce-N' 'unsafe-inline'; script-src-attr 'nonce-N' 'unsafe-inline' 'unsafe-hashes'"},
		{"default-src d.example; script-src 'self'; worker-src w.example", "child-src blob:", "default-src d.example; script-src 'self'; worker-src w.example; child-src d.example blob:"},
		{"default-src d.example", "child-src blob:", "default-src d.example; child-src d.example blob:"},
		{"default-src d.example", "img-src d.example i.example d.example", "default-src d.example; img-src d.example i.example"},
		{"default-src 'self'", "frame-ancestors https://portal.example; form-action 'self'", "default-src 'self'; frame-ancestors https://portal.example; form-action 'self'"},
	} {
		rec := do(newApp(t, spa.Config{Dir: dir, ContentSecurityPolicy: tt.own, ExtraPolicy: tt.extra}), "GET", "/sw.js")
		got := regexp.MustCompile(`nonce-[A-Z2-7]{26}`).ReplaceAllString(rec.Header().Get("Content-Security-Policy"), "nonce-N")
		if got != tt.want {
			t.Errorf("%s with %s:\ngot  %s\nwant %s", tt.own, tt.extra, got, tt.want)
		}
	}
}

// TestExtraPolicyAndInline: a hash or a nonce makes browsers ignore 'unsafe-inline' (Content
// Security Policy Level 3, section 6.7.3.2), and counts in the directive that applies only.
func TestExtraPolicyAndInline(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "page.html"), `<style>p{}</style><script>one()</script><p style="margin:0" onclick="two()" nonce="__CSP_NONCE__">`)
	one, two, p, margin := hash("one()"), "'unsafe-hashes' "+hash("two()"), hash("p{}"), "'unsafe-hashes' "+hash("margin:0")
	for extra, want := range map[string][6]string{
		"img-src a.example":                                {"'self' " + one, "", two, "'self' N " + p, "", margin},
		"style-src 'unsafe-inline'":                        {"'self' " + one, "", two, "'self' 'unsafe-inline'", "", ""},
		"style-src-elem 'unsafe-inline'":                   {"'self' " + one, "", two, "'self'", "'self' 'unsafe-inline'", margin},
		"style-src-attr 'unsafe-inline'":                   {"'self' " + one, "", two, "'self' N " + p, "", "'unsafe-inline'"},
		"script-src 'Unsafe-Inline'":                       {"'self' 'Unsafe-Inline'", "", "", "'self' N " + p, "", margin},
		"script-src-elem a.example":                        {"'self'", "'self' a.example " + one, two, "'self' N " + p, "", margin},
		"style-src-elem a.example":                         {"'self' " + one, "", two, "'self'", "'self' a.example N " + p, margin},
		"script-src 'unsafe-inline' 'strict-dynamic'":      {"'self' 'unsafe-inline' 'strict-dynamic' " + one, "", "'unsafe-inline' 'strict-dynamic' " + two, "'self' N " + p, "", margin},
		"script-src 'unsafe-inline' 'nonce-__CSP_NONCE__'": {"'self' 'unsafe-inline' N " + one, "", "'unsafe-inline' N " + two, "'self' N " + p, "", margin},
		"style-src 'unsafe-inline' 'sha256-x'":             {"'self' " + one, "", two, "'self' 'unsafe-inline' 'sha256-x' N " + p, "", "'unsafe-inline' 'sha256-x' " + margin},
	} {
		rec := do(newApp(t, spa.Config{Dir: dir, ExtraPolicy: extra}), "GET", "/page")
		policy := policyOf(rec.Header())
		for i, name := range []string{"script-src", "script-src-elem", "script-src-attr", "style-src", "style-src-elem", "style-src-attr"} {
			if got := regexp.MustCompile(`'nonce-[A-Z2-7]{26}'`).ReplaceAllString(policy[name], "N"); got != want[i] {
				t.Errorf("%s: %s %s, want %s", extra, name, got, want[i])
			}
		}
	}
}

// TestPolicyIsBounded: the head of a response must fit into 4,096 bytes, or nginx answers
// 502 (proxy_buffer_size). Scripts are never allowed in the place of their hashes.
func TestPolicyIsBounded(t *testing.T) {
	dir := newDir(t)
	var attributes, scripts strings.Builder
	for i := range 100 {
		fmt.Fprintf(&attributes, `<p style="margin:%d">`, i)
		fmt.Fprintf(&scripts, `<script>run(%d)</script>`, i)
	}
	write(t, filepath.Join(dir, "styled.html"), `<script>one()</script>`+attributes.String())
	write(t, filepath.Join(dir, "nonce.html"), `<p nonce="__CSP_NONCE__">`+attributes.String())
	write(t, filepath.Join(dir, "scripts.html"), scripts.String())
	var log testkit.Log
	h := newApp(t, spa.Config{Dir: dir, Log: log.Logger()})
	for range 2 {
		for _, target := range []string{"/styled", "/nonce"} {
			header := do(h, "GET", target).Header()
			if got := policyOf(header)["style-src-attr"]; got != "'unsafe-inline'" || len(header.Get("Content-Security-Policy")) > 3072 {
				t.Errorf("%s: style-src-attr %s of %v", target, got, header)
			}
		}
		if got := policyOf(do(h, "GET", "/styled").Header())["script-src"]; got != "'self' "+hash("one()") {
			t.Errorf("script-src %s", got)
		}
		if got := policyOf(do(h, "GET", "/scripts").Header())["script-src"]; strings.Contains(got, "unsafe") || !strings.HasSuffix(got, hash("run(99)")) {
			t.Errorf("script-src %s", got)
		}
	}
	do(h, "GET", "/")
	var named []any
	for _, record := range log.Records(t) {
		named = append(named, record["file"])
	}
	if fmt.Sprint(named) != "[styled.html nonce.html scripts.html]" {
		t.Errorf("the log names %v", named)
	}
	var long []string
	for _, l := range spa.TooLong(spa.Config{Dir: dir}) {
		long = append(long, l.File)
		if l.Needed <= 3072 || l.Sent > l.Needed || (l.Sent > 3072) != (l.File == "scripts.html") {
			t.Errorf("%+v", l)
		}
	}
	if fmt.Sprint(long) != "[scripts.html styled.html nonce.html]" {
		t.Errorf("found before any request: %v", long)
	}
	// Without such attributes, a directive of the operator's stays as it is.
	kept := newApp(t, spa.Config{Dir: dir, ExtraPolicy: "style-src-attr 'sha256-x'", Log: log.Logger()})
	if got := policyOf(do(kept, "GET", "/scripts").Header())["style-src-attr"]; got != "'sha256-x'" {
		t.Errorf("style-src-attr %s of the operator's", got)
	}
	if found := spa.TooLong(spa.Config{Dir: dir, ContentSecurityPolicy: "default-src 'self'"}); found != nil {
		t.Errorf("with a policy of the operator's: %v", found)
	}
	sources := "img-src https://" + strings.Repeat("a", 3000) + ".example"
	if found := spa.TooLong(spa.Config{Dir: dir, ExtraPolicy: sources}); len(found) != 1 || found[0].File != "" || found[0].Sent <= 3072 {
		t.Errorf("with many more sources: %v", found)
	}
}

// TestLongPoliciesThatNobodyGets: what is not served, is hidden or has no policy of its own
// is not named.
func TestLongPoliciesThatNobodyGets(t *testing.T) {
	dir := newDir(t)
	var scripts strings.Builder
	for i := range 100 {
		fmt.Fprintf(&scripts, `<script>run(%d)</script>`, i)
	}
	for name, content := range map[string]string{
		".git/old.html": scripts.String(), "app.js": scripts.String(), "large.html": scripts.String() + strings.Repeat(" ", 1<<20),
		"pages/deep/about.html": scripts.String(),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), content)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.html"), 0o700); err != nil {
		t.Fatal(err)
	}
	if found := spa.TooLong(spa.Config{Dir: dir}); len(found) != 1 || found[0].File != "pages/deep/about.html" {
		t.Errorf("%v", found)
	}
	for _, cfg := range []spa.Config{{Dir: filepath.Join(dir, "missing")}, {Dir: dir, ExtraPolicy: "no sources"}} {
		if found := spa.TooLong(cfg); found != nil {
			t.Errorf("%+v: %v", cfg, found)
		}
	}
}

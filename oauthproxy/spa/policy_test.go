package spa_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/spa"
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
		"Content-Security-Policy": "default-src 'self'; script-src 'self' 'nonce-x' https://a.example; frame-src https://b.example",
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

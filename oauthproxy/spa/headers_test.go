package spa_test

import (
	"net/http"
	"strings"
	"testing"

	"cognito-token-handler/oauthproxy/spa"
)

// The expected policy is written from CSP Level 3 and not from our constants.
const (
	ownPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; " +
		"img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	bucket        = "https://bucket.s3.us-east-1.amazonaws.com"
	storagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; " +
		"img-src 'self' data: blob: https://bucket.s3.us-east-1.amazonaws.com; " +
		"media-src 'self' blob: https://bucket.s3.us-east-1.amazonaws.com; " +
		"connect-src 'self' https://bucket.s3.us-east-1.amazonaws.com; " +
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	// The operator's policy replaces ours; nothing is added to it.
	configuredPolicy = "default-src 'self'; script-src 'self' 'nonce-x'"
)

func TestSecurityHeaders(t *testing.T) {
	dir := newDir(t)
	for name, tt := range map[string]struct {
		cfg    spa.Config
		policy string
	}{
		"default":                 {spa.Config{Dir: dir}, ownPolicy},
		"with storage":            {spa.Config{Dir: dir, StorageOrigin: bucket}, storagePolicy},
		"configured":              {spa.Config{Dir: dir, ContentSecurityPolicy: configuredPolicy}, configuredPolicy},
		"configured with storage": {spa.Config{Dir: dir, ContentSecurityPolicy: configuredPolicy, StorageOrigin: bucket}, configuredPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			h := newApp(t, tt.cfg)
			tag := do(h, "GET", "/sw.js").Header().Get("ETag")
			for _, request := range []struct {
				method, target string
				status         int
				header         []string
			}{
				{"GET", "/", http.StatusOK, nil},
				{"HEAD", "/", http.StatusOK, nil},
				{"GET", "/users/jane.doe", http.StatusOK, nil},
				{"GET", "/assets/", http.StatusOK, nil},
				{"GET", "/assets/index-BxK3v_9a.js", http.StatusOK, nil}, // workers have policies of their own
				{"GET", "/logo.svg", http.StatusOK, nil},                 // an SVG file is a document when it is opened as a page
				{"GET", "/video.mp4", http.StatusOK, nil},
				// A browser updates a stored response with the headers of a 304.
				{"GET", "/sw.js", http.StatusNotModified, []string{"If-None-Match", tag}},
				{"GET", "/sw.js", http.StatusPreconditionFailed, []string{"If-Match", `"other"`}},
				{"GET", "/data.bin", http.StatusPartialContent, []string{"Range", "bytes=0-1"}},
				{"GET", "/data.bin", http.StatusRequestedRangeNotSatisfiable, []string{"Range", "bytes=99-"}},
			} {
				rec := do(h, request.method, request.target, request.header...)
				if rec.Code != request.status {
					t.Errorf("%s %s: answered %d, want %d", request.method, request.target, rec.Code, request.status)
				}
				wantHeader(t, rec, map[string]string{
					"Content-Security-Policy":      tt.policy,
					"X-Content-Type-Options":       "nosniff",
					"Referrer-Policy":              "same-origin",
					"Cross-Origin-Opener-Policy":   "same-origin",
					"Cross-Origin-Resource-Policy": "same-origin",
					"Access-Control-Allow-Origin":  "",
					"Set-Cookie":                   "",
				})
			}
			// Error responses need no resources, so their policy allows none.
			wantProblem(t, do(h, "GET", "/gone.js"), http.StatusNotFound, "not_found")
			wantProblem(t, do(h, "POST", "/"), http.StatusMethodNotAllowed, "method_not_allowed")
		})
	}
}

func TestDefaultPolicy(t *testing.T) {
	for storage, want := range map[string]string{
		"":     ownPolicy,
		bucket: storagePolicy,
		// A malformed host must not begin another directive.
		"https://b;script-src":  ownPolicy,
		"https://b,default-src": ownPolicy,
		"https://*":             ownPolicy,
	} {
		got := spa.DefaultPolicy(storage)
		if got != want {
			t.Errorf("DefaultPolicy(%q) = %s, want %s", storage, got, want)
		}
		// Each of these would let scripts run that are not part of the app.
		for _, source := range []string{"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https: "} {
			if strings.Contains(got, source) {
				t.Errorf("DefaultPolicy(%q) has %s", storage, source)
			}
		}
	}
}

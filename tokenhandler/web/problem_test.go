package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/tokenhandler/web"
)

var errPlanted = errors.New("planted provider text")

// Every row is an error code with the whole body of its response.
func TestProblemBodies(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		code web.Code
		want string
	}{
		{"invalid_request", `{"type":"about:blank","title":"Bad Request","status":400,"code":"invalid_request","detail":"D"}`},
		{"not_authenticated", `{"type":"about:blank","title":"Unauthorized","status":401,"code":"not_authenticated","detail":"D","login_url":"/auth/login"}`},
		{"session_expired", `{"type":"about:blank","title":"Unauthorized","status":401,"code":"session_expired","detail":"D","login_url":"/auth/login"}`},
		{"cross_site_request", `{"type":"about:blank","title":"Forbidden","status":403,"code":"cross_site_request","detail":"D"}`},
		{"quota_exceeded", `{"type":"about:blank","title":"Forbidden","status":403,"code":"quota_exceeded","detail":"D"}`},
		{"already_exists", `{"type":"about:blank","title":"Conflict","status":409,"code":"already_exists","detail":"D"}`},
		{"user_changed", `{"type":"about:blank","title":"Conflict","status":409,"code":"user_changed","detail":"D"}`},
		{"precondition_failed", `{"type":"about:blank","title":"Precondition Failed","status":412,"code":"precondition_failed","detail":"D"}`},
		{"not_found", `{"type":"about:blank","title":"Not Found","status":404,"code":"not_found","detail":"D"}`},
		{"method_not_allowed", `{"type":"about:blank","title":"Method Not Allowed","status":405,"code":"method_not_allowed","detail":"D"}`},
		{"too_large", `{"type":"about:blank","title":"Request Entity Too Large","status":413,"code":"too_large","detail":"D"}`},
		{"misdirected_request", `{"type":"about:blank","title":"Misdirected Request","status":421,"code":"misdirected_request","detail":"D"}`},
		{"rate_limited", `{"type":"about:blank","title":"Too Many Requests","status":429,"code":"rate_limited","detail":"D"}`},
		{"cookies_too_large", `{"type":"about:blank","title":"Request Header Fields Too Large","status":431,"code":"cookies_too_large","detail":"D"}`},
		{"session_too_large", `{"type":"about:blank","title":"Internal Server Error","status":500,"code":"session_too_large","detail":"D"}`},
		{"internal_error", `{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal_error","detail":"D"}`},
		{"upstream_error", `{"type":"about:blank","title":"Bad Gateway","status":502,"code":"upstream_error","detail":"D"}`},
		{"provider_error", `{"type":"about:blank","title":"Bad Gateway","status":502,"code":"provider_error","detail":"D"}`},
		{"store_unavailable", `{"type":"about:blank","title":"Service Unavailable","status":503,"code":"store_unavailable","detail":"D"}`},
		{"audit_unavailable", `{"type":"about:blank","title":"Service Unavailable","status":503,"code":"audit_unavailable","detail":"D"}`},
		{"provider_unavailable", `{"type":"about:blank","title":"Service Unavailable","status":503,"code":"provider_unavailable","detail":"D"}`},
		{"upstream_timeout", `{"type":"about:blank","title":"Gateway Timeout","status":504,"code":"upstream_timeout","detail":"D"}`},
	} {
		t.Run(string(c.code), func(t *testing.T) {
			h := s.Handle(func(http.ResponseWriter, *http.Request) error {
				return fmt.Errorf("handling: %w", web.NewProblem(c.code, "D", errPlanted))
			})
			rec := serve(h, request(t, "GET", "/", nil))
			if diff := cmp.Diff(c.want, rec.Body.String()); diff != "" {
				t.Error(diff)
			}
			var status struct{ Status int }
			if err := json.Unmarshal([]byte(c.want), &status); err != nil || rec.Code != status.Status {
				t.Errorf("answered %d", rec.Code)
			}
			if got := rec.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("sent as %s", got)
			}
		})
	}
}

func TestProblemOfOtherErrors(t *testing.T) {
	s := newSite(t)
	const internal = `{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal_error","detail":"an internal error occurred"}`
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"unknown":         {errPlanted, internal},
		"wrapped":         {fmt.Errorf("asking the provider: %w", errPlanted), internal},
		"joined":          {errors.Join(errPlanted, io.ErrUnexpectedEOF), internal},
		"unknown code":    {web.NewProblem("made_up", "D", nil), `{"type":"about:blank","title":"Internal Server Error","status":500,"code":"made_up","detail":"D"}`},
		"without detail":  {web.NewProblem(web.CodeNotFound, "", nil), `{"type":"about:blank","title":"Not Found","status":404,"code":"not_found"}`},
		"body over limit": {fmt.Errorf("reading: %w", &http.MaxBytesError{Limit: 7}), `{"type":"about:blank","title":"Request Entity Too Large","status":413,"code":"too_large","detail":"the request body is over its limit of 7 bytes"}`},
	} {
		t.Run(name, func(t *testing.T) {
			rec := serve(s.Handle(func(http.ResponseWriter, *http.Request) error { return c.err }), request(t, "GET", "/", nil))
			if diff := cmp.Diff(c.want, rec.Body.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProblemHeaders(t *testing.T) {
	h := newSite(t).Handle(func(w http.ResponseWriter, _ *http.Request) error {
		for name, value := range map[string]string{
			"Etag": `"1"`, "Last-Modified": "x", "Content-Encoding": "gzip", "Content-Length": "1", "Content-Type": "text/html",
			"Cache-Control": "public", "X-Kept": "yes",
		} {
			w.Header().Set(name, value)
		}
		w.Header().Add("Set-Cookie", "before=1")
		return web.NewProblem(web.CodeSessionExpired, "", nil).WithHeader("set-cookie", "a=; Max-Age=0").WithHeader("Set-Cookie", "b=; Max-Age=0")
	})
	rec := serve(h, request(t, "GET", "/", nil))
	if diff := cmp.Diff([]string{"before=1", "a=; Max-Age=0", "b=; Max-Age=0"}, rec.Header().Values("Set-Cookie")); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{
		"Etag": "", "Last-Modified": "", "Content-Encoding": "", "Content-Length": fmt.Sprint(rec.Body.Len()),
		"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Kept": "yes",
	} {
		if got := rec.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if head := serve(h, request(t, "HEAD", "/", nil)); head.Body.Len() != 0 || head.Code != 401 || head.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %s", head.Code, head.Body.Len(), head.Header().Get("Content-Length"))
	}
}

func TestProblemIsAnError(t *testing.T) {
	p := web.NewProblem(web.CodeProviderError, "detail", errPlanted)
	if p.Error() != "provider_error: detail: planted provider text" || !errors.Is(p, errPlanted) || p.Status() != 502 {
		t.Errorf("%q, %d", p.Error(), p.Status())
	}
	if text := web.NewProblem(web.CodeNotFound, "", nil).Error(); text != "not_found" {
		t.Errorf("%q", text)
	}
}

func TestRetryAfter(t *testing.T) {
	for wait, want := range map[time.Duration]string{
		-time.Hour: "1", 0: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2", 90 * time.Second: "90",
	} {
		got := web.NewProblem(web.CodeRateLimited, "", nil).RetryAfter(wait).Header.Get("Retry-After")
		if got != want {
			t.Errorf("%s: %s, want %s", wait, got, want)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	for name, c := range map[string]struct {
		value       any
		status      int
		contentType string
		want        string
	}{
		"value": {map[string]int{"a": 1}, 201, "application/json", `{"a":1}`},
		// If encoding fails, no part of the value and no 200 must be sent.
		"not encodable": {map[string]any{"a": 1, "b": func() {}}, 500, "application/problem+json", `{"type":"about:blank","status":500,"code":"internal_error"}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { web.WriteJSON(w, r, http.StatusCreated, c.value) })
			rec := serve(h, request(t, "GET", "/", nil))
			if rec.Code != c.status || strings.TrimSpace(rec.Body.String()) != c.want {
				t.Errorf("answered %d %s", rec.Code, rec.Body)
			}
			if h := rec.Header(); h.Get("Content-Type") != c.contentType || h.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", h)
			}
		})
	}
}

// TestCodesAreComplete compares Codes with the constants of the source, because metrics
// rely on it.
func TestCodesAreComplete(t *testing.T) {
	file, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	constants := regexp.MustCompile(`(?m)^\tCode\w+ +Code = "(\w+)"$`).FindAllSubmatch(file, -1)
	for _, constant := range constants {
		if code := web.Code(constant[1]); !slices.Contains(web.Codes(), code) {
			t.Errorf("Codes lacks %s", code)
		}
	}
	if len(constants) < 16 || len(constants) != len(web.Codes()) {
		t.Errorf("found %d constants, Codes has %d", len(constants), len(web.Codes()))
	}
}

package oauthproxy_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/tokenhandler/web"
)

// counted returns the values of a counter by its labels, without those that are 0.
func counted(t *testing.T, p *proxy, name string) map[string]float64 {
	t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			if count := metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount()); count > 0 {
				counts[strings.Join(labels, " ")] = count
			}
		}
	}
	return counts
}

// The error of Authorize is the response.
func TestAuthorizeErrors(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		code   string
		header map[string]string
	}{
		{web.NewProblem(web.CodeNotAuthenticated, "log in", nil), 401, "not_authenticated", nil},
		{
			web.NewProblem(web.CodeSessionExpired, "over", nil).WithHeader("Set-Cookie", "a=; Max-Age=0").WithHeader("Set-Cookie", "b=; Max-Age=0"),
			401, "session_expired",
			map[string]string{"Set-Cookie": "a=; Max-Age=0|b=; Max-Age=0"},
		},
		{web.NewProblem(web.CodeCookiesTooLarge, "planned by the test", nil), 431, "cookies_too_large", nil},
		{web.NewProblem(web.CodeRateLimited, "planned by the test", nil).WithHeader("Retry-After", "3"), 429, "rate_limited", map[string]string{"Retry-After": "3"}},
		{errDown, 503, "provider_unavailable", map[string]string{"Retry-After": "7"}},
		{fmt.Errorf("wrapped: %w", errDown), 503, "provider_unavailable", map[string]string{"Retry-After": "7"}},
		{web.NewProblem(web.CodeProviderError, "planned by the test", nil), 502, "provider_error", nil},
		{errors.New("a bug, with inside words"), 500, "internal_error", nil},
	} {
		t.Run(tt.code, func(t *testing.T) {
			up := newUpstream(t, nil)
			p := newProxy(t, api(t, up.URL))
			p.tokens.err = tt.err
			got := p.get(t, "/api/x")
			wantProblem(t, got, tt.status, tt.code)
			for name, want := range tt.header {
				if values := strings.Join(got.Header[name], "|"); values != want {
					t.Errorf("%s: %q, want %q", name, values, want)
				}
			}
			if len(up.requests()) != 0 || strings.Contains(got.body, "inside") {
				t.Errorf("forwarded %d, answered %s", len(up.requests()), got.body)
			}
		})
	}
}

// A cross-site request is refused before its session is opened.
func TestCrossSite(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"} {
		for _, tt := range []struct {
			lines  []string
			passes []string // methods; nil: none; "*": all
		}{
			{[]string{"Sec-Fetch-Site: same-origin"}, []string{"*"}},
			{[]string{"Sec-Fetch-Site: none"}, []string{"GET", "HEAD"}},
			{[]string{"Sec-Fetch-Site: same-site"}, nil},
			{[]string{"Sec-Fetch-Site: cross-site"}, nil},
			{[]string{"Sec-Fetch-Site: cross-site", "X-CSRF: 1"}, nil},
			{[]string{"Sec-Fetch-Site: cross-site", "Origin: " + publicOrigin}, nil},
			{[]string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, nil},
			{[]string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, nil},
			{[]string{"Sec-Fetch-Site: "}, nil},
			{[]string{"Sec-Fetch-Site: cross-site", "Connection: Sec-Fetch-Site"}, nil},
			{[]string{"Sec-Fetch-Site: cross-site", "Origin: " + allowedOrigin}, []string{"*"}},
			{[]string{"Origin: https://evil.example"}, nil},
			{[]string{"Origin: null"}, nil},
			{[]string{"Origin: " + publicOrigin + ".evil.example", "X-CSRF: 1"}, nil},
			{[]string{"Origin: " + publicOrigin}, []string{"*"}},
			{nil, nil},
			{[]string{"X-CSRF: 0"}, nil},
			{[]string{"Referer: " + publicOrigin + "/"}, []string{"GET", "HEAD"}},
			{[]string{"Referer: https://evil.example/"}, nil},
			{[]string{"X-CSRF: 1"}, []string{"*"}},
		} {
			t.Run(method+" "+strings.Join(tt.lines, ", "), func(t *testing.T) {
				p.tokens.calls.Store(0)
				lines := append([]string{method + " /api/x HTTP/1.1", "Host: h", "Connection: close", "Content-Length: 0"}, tt.lines...)
				got := p.rawBody(t, "", lines...)
				if slices.Contains(tt.passes, "*") || slices.Contains(tt.passes, method) {
					if got.StatusCode != http.StatusOK {
						t.Errorf("answered %d", got.StatusCode)
					}
					up.last(t)
					return
				}
				if got.StatusCode != http.StatusForbidden || len(up.requests()) != 0 || p.tokens.calls.Load() != 0 {
					t.Errorf("answered %d, %d forwarded, %d authorised", got.StatusCode, len(up.requests()), p.tokens.calls.Load())
				}
				if method != http.MethodHead {
					wantProblem(t, got, http.StatusForbidden, "cross_site_request")
				}
			})
		}
	}
}

// The proxy itself answers the preflight of an allowed origin, which has no session.
func TestPreflight(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	got := p.rawBody(t, "", "OPTIONS /api/x HTTP/1.1", "Host: h", "Connection: close", "Sec-Fetch-Site: same-site", "Origin: "+allowedOrigin,
		"Access-Control-Request-Method: PUT")
	if got.StatusCode != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Origin") != allowedOrigin {
		t.Errorf("answered %d %v", got.StatusCode, got.Header)
	}
	if len(up.requests()) != 0 || p.tokens.calls.Load() != 0 {
		t.Error("a preflight was forwarded or authorised")
	}
}

// Error responses have CORS headers, too, or the app could not read them.
func TestCORSOnErrors(t *testing.T) {
	p := newProxy(t, api(t, rawUpstream(t, "")))
	for target, status := range map[string]int{"/api/x": 502, "/none/": 404, "/api/%2e": 400} {
		got := p.rawBody(t, "", "GET "+target+" HTTP/1.1", "Host: h", "Connection: close", "Sec-Fetch-Site: same-site", "Origin: "+allowedOrigin)
		if got.StatusCode != status || got.Header.Get("Access-Control-Allow-Origin") != allowedOrigin {
			t.Errorf("%s answered %d %v", target, got.StatusCode, got.Header)
		}
	}
}

// An upstream that answers with all kinds of statuses makes a bounded number of time series,
// and every one of them is there before the first request.
func TestSeriesOfARoute(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/api/"))
		w.WriteHeader(status)
	})
	p := newProxy(t, api(t, up.URL))
	before := series(t, p)
	for status := 200; status <= 999; status++ {
		p.get(t, "/api/"+strconv.Itoa(status))
	}
	if diff := cmp.Diff(before, series(t, p)); diff != "" || len(before) > 70 {
		t.Errorf("%d series at the start, then %s", len(before), diff)
	}
	for _, want := range []string{
		"tokenhandler_proxy_requests_total route=/api/ status=404", "tokenhandler_proxy_upstream_errors_total kind=timeout route=/api/",
		"tokenhandler_proxy_retries_total outcome=failed route=/api/", "tokenhandler_proxy_ended_total kind=socket route=/api/",
	} {
		if !slices.Contains(before, want) {
			t.Errorf("%s is not there at the start", want)
		}
	}
	got := counted(t, p, "tokenhandler_proxy_requests_total")
	for status, want := range map[string]float64{"200": 1, "401": 1, "2xx": 95, "other": 400} {
		if got["route=/api/ status="+status] != want {
			t.Errorf("status %s was counted %v times, want %v", status, got["route=/api/ status="+status], want)
		}
	}
}

// series returns the names and labels of all time series.
func series(t *testing.T, p *proxy) []string {
	t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetName() + "=" + label.GetValue()
			}
			all = append(all, name)
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/teapot") {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	other := api(t, rawUpstream(t, ""))
	other.Path = "/down/"
	p := newProxy(t, api(t, up.URL), other)
	for i := range 20 {
		p.get(t, fmt.Sprintf("/api/%d?q=%d", i, i))
	}
	p.get(t, "/api/teapot")
	p.get(t, "/down/x")
	// Requests without a route and refused requests are not counted here.
	p.get(t, "/api")
	p.get(t, "/nowhere/at/all")
	p.raw(t, "GET /api/../x HTTP/1.1")
	p.raw(t, "TRACE /api/x HTTP/1.1")
	for name, want := range map[string]map[string]float64{
		"tokenhandler_proxy_requests_total": {
			"route=/api/ status=200": 20, "route=/api/ status=4xx": 1, "route=/down/ status=502": 1,
		},
		"tokenhandler_proxy_request_duration_seconds": {"route=/api/": 21, "route=/down/": 1},
		"tokenhandler_proxy_upstream_errors_total":    {"kind=broken route=/down/": 1},
	} {
		got := counted(t, p, name)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

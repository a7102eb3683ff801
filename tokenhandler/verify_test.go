package tokenhandler_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/secret"
)

const (
	gatewaySecret = "planted-gateway-secret-value"
	secretHeader  = "X-Auth-Request-Secret"
)

// gated returns the settings of an app behind a gateway.
func gated(pool cognitotest.Options) settings {
	return settings{pool: pool, handler: func(c *tokenhandler.Config) { c.VerifySecret = secret.New(gatewaySecret) }}
}

// asked returns the header of a gateway's sub-request: the browser's cookies and
// headers, and the gateway's secret.
func asked(ua *useragent.UA) http.Header {
	h := http.Header{"Sec-Fetch-Site": {"same-origin"}, secretHeader: {gatewaySecret}}
	if ua == nil {
		return h
	}
	var pairs []string
	for _, c := range ours(ua) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	if len(pairs) > 0 {
		h.Set("Cookie", strings.Join(pairs, "; "))
	}
	return h
}

func (a *app) verify(query string, h http.Header) *testkit.Answer {
	a.tb.Helper()
	res := a.send(a.tb.Context(), http.MethodGet, "/auth/verify"+query, h)
	a.wantBare(res)
	return res
}

// wantBare checks that the answer has no body and may not be stored.
func (a *app) wantBare(res *testkit.Answer) {
	a.tb.Helper()
	if len(res.Body) > 0 || res.Header.Get("Content-Type") != "" || res.Header.Get("Cache-Control") != "no-store" {
		a.tb.Errorf("%d, Cache-Control %q, body %q", res.Status, res.Header.Get("Cache-Control"), res.Body)
	}
}

// wantRefused checks status and code of a refusal, and that it contains nothing about
// the user.
func wantRefused(tb testing.TB, res *testkit.Answer, status int, code string) {
	tb.Helper()
	if res.Status != status || res.Header.Get("X-Auth-Error") != code {
		tb.Errorf("%d %s, want %d %s", res.Status, res.Header.Get("X-Auth-Error"), status, code)
	}
	for _, name := range []string{"Authorization", "X-Auth-Subject", "X-Auth-Groups"} {
		if res.Header[name] != nil {
			tb.Errorf("a refusal has %s", name)
		}
	}
}

func TestVerifyAnswersAGatewayWithTheToken(t *testing.T) {
	a := newApp(t, gated(cognitotest.Options{}))
	ua := a.login()
	res := a.verify("", asked(ua))
	sub := a.session(ua).User["sub"]
	if res.Status != http.StatusNoContent || res.Header.Get("Authorization") != "Bearer "+a.provider.newest().Access.Reveal() ||
		res.Header.Get("X-Auth-Subject") != sub || res.Header.Get("X-Auth-Groups") != "readers,writers" {
		t.Errorf("%d %v", res.Status, res.Header)
	}
	if len(res.Header["Set-Cookie"]) > 0 || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("nothing was refreshed: %v", res.Header)
	}
	if a.metric("tokenhandler_verifications_total", "ok") != 1 {
		t.Error("not counted")
	}
	if a.log.Contains(gatewaySecret) {
		t.Error("the log holds the secret")
	}
}

// TestVerifyIsNotThereWithoutTheSecret checks that a script of the app that fetches
// /auth/verify learns neither a token nor that the path exists.
func TestVerifyIsNotThereWithoutTheSecret(t *testing.T) {
	a := newApp(t, gated(cognitotest.Options{}))
	off := newApp(t, settings{})
	for name, c := range map[string]struct {
		app    *app
		path   string
		change func(http.Header)
	}{
		"no secret":        {a, "/auth/verify", func(h http.Header) { h.Del(secretHeader) }},
		"empty":            {a, "/auth/verify", func(h http.Header) { h.Set(secretHeader, "") }},
		"wrong":            {a, "/auth/verify", func(h http.Header) { h.Set(secretHeader, "wrong-gateway-secret-value") }},
		"its head":         {a, "/auth/verify", func(h http.Header) { h.Set(secretHeader, gatewaySecret[:16]) }},
		"more than it":     {a, "/auth/verify", func(h http.Header) { h.Set(secretHeader, gatewaySecret+"x") }},
		"twice":            {a, "/auth/verify", func(h http.Header) { h.Add(secretHeader, gatewaySecret) }},
		"and a guess":      {a, "/auth/verify", func(h http.Header) { h.Add(secretHeader, "guess") }},
		"as a query":       {a, "/auth/verify?secret=" + gatewaySecret, func(h http.Header) { h.Del(secretHeader) }},
		"as a bearer":      {a, "/auth/verify", func(h http.Header) { h.Del(secretHeader); h.Set("Authorization", "Bearer "+gatewaySecret) }},
		"with underscores": {a, "/auth/verify", func(h http.Header) { h.Del(secretHeader); h["X_auth_request_secret"] = []string{gatewaySecret} }},
		"envoy":            {a, "/auth/verify/envoy", func(h http.Header) { h.Del(secretHeader) }},
		"under envoy":      {a, "/auth/verify/envoy/api/me", func(h http.Header) { h.Del(secretHeader) }},
		"not configured":   {off, "/auth/verify", func(http.Header) {}},
		"empty, off":       {off, "/auth/verify", func(h http.Header) { h.Set(secretHeader, "") }},
		"elsewhere":        {a, "/auth/verify/me", func(http.Header) {}},
	} {
		t.Run(name, func(t *testing.T) {
			h := asked(c.app.login())
			c.change(h)
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
				res := c.app.send(t.Context(), method, c.path, h)
				testkit.WantProblem(t, *res, http.StatusNotFound, "not_found")
				want := c.app.send(t.Context(), method, "/auth/nothing", h).Header
				for _, same := range []http.Header{want, res.Header} {
					for _, varies := range []string{"X-Request-ID", "Content-Length", "Date"} {
						same.Del(varies)
					}
				}
				if !maps.EqualFunc(res.Header, want, slices.Equal) {
					t.Errorf("%s shows that the path exists: %v, want %v", method, res.Header, want)
				}
			}
		})
	}
	if a.metric("tokenhandler_verifications_total", "not_found") < 3 {
		t.Error("not counted")
	}
}

func TestVerifyRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(a *app, ua *useragent.UA, h http.Header)
		method  string
		query   string
		status  int
		code    string
		cleared bool
	}{
		"no session": {spoil: func(_ *app, _ *useragent.UA, h http.Header) { h.Del("Cookie") }, status: 401, code: "not_authenticated"},
		"unreadable": {spoil: func(_ *app, _ *useragent.UA, h http.Header) { h.Set("Cookie", sessionCookie+"=1AAAA") }, status: 401, code: "session_expired", cleared: true},
		"idle":       {spoil: func(a *app, _ *useragent.UA, _ http.Header) { a.clock.Advance(time.Hour) }, status: 401, code: "session_expired", cleared: true},
		"logged out": {spoil: func(a *app, ua *useragent.UA, _ http.Header) {
			a.copyOf(ua).Fetch(http.MethodPost, "/auth/logout", "")
		}, status: 401, code: "session_expired", cleared: true},
		"cross-site":        {spoil: func(_ *app, _ *useragent.UA, h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") }, status: 403, code: "cross_site_request"},
		"same-site":         {spoil: func(_ *app, _ *useragent.UA, h http.Header) { h.Set("Sec-Fetch-Site", "same-site") }, status: 403, code: "cross_site_request"},
		"cross-origin":      {spoil: func(_ *app, _ *useragent.UA, h http.Header) { h.Del("Sec-Fetch-Site"); h.Set("Origin", foreignSite) }, status: 403, code: "cross_site_request"},
		"of unknown origin": {spoil: func(_ *app, _ *useragent.UA, h http.Header) { h.Del("Sec-Fetch-Site") }, status: 403, code: "cross_site_request"},
		"POST":              {method: http.MethodPost, status: 405, code: "method_not_allowed"},
		"HEAD":              {method: http.MethodHead, status: 405, code: "method_not_allowed"},
		"misspelt":          {query: "?groups=readers", status: 400, code: "invalid_request"},
		"group twice":       {query: "?group=readers&group=admins", status: 400, code: "invalid_request"},
		"empty group":       {query: "?group=", status: 400, code: "invalid_request"},
		"one group empty":   {query: "?group=readers,", status: 400, code: "invalid_request"},
		"empty scope":       {query: "?scope=+", status: 400, code: "invalid_request"},
		"cookies":           {query: "?cookies=no", status: 400, code: "invalid_request"},
		"no query":          {query: "?a=%zz", status: 400, code: "invalid_request"},
		"other group":       {query: "?group=admins", status: 403, code: "insufficient_scope"},
		"other scope":       {query: "?scope=openid+notes/write", status: 403, code: "insufficient_scope"},
		"group, not scope":  {query: "?group=readers&scope=notes/write", status: 403, code: "insufficient_scope"},
		"too many cookies": {spoil: func(_ *app, _ *useragent.UA, h http.Header) {
			h.Set("Cookie", strings.Repeat(loginPrefix+"a=x; ", 30)+sessionCookie+"=1AAAA")
		}, status: 431, code: "cookies_too_large", cleared: true},
		"provider down": {spoil: func(a *app, _ *useragent.UA, _ http.Header) {
			a.pool.Break(cognitotest.TokenRefresh, cognitotest.Reset(), 0)
			a.clock.Advance(11 * time.Minute)
		}, status: 503, code: "provider_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, gated(cognitotest.Options{AccessTTL: 10 * time.Minute}))
			ua := a.login()
			h := asked(ua)
			if c.spoil != nil {
				c.spoil(a, ua, h)
			}
			method := c.method
			if method == "" {
				method = http.MethodGet
			}
			res := a.send(t.Context(), method, "/auth/verify"+c.query, h)
			a.wantBare(res)
			wantRefused(t, res, c.status, c.code)
			cookies := setCookies(t, res.Header)
			if got := cookies[sessionCookie] != nil && cookies[sessionCookie].MaxAge < 0; got != c.cleared {
				t.Errorf("cookies cleared: %v", got)
			}
			if waits := c.status == http.StatusServiceUnavailable; (res.Header.Get("Retry-After") != "") != waits {
				t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
			}
			if a.metric("tokenhandler_verifications_total", c.code) != 1 {
				t.Error("not counted")
			}
		})
	}
}

// TestVerifyTakesTheOrdinaryFallbacks checks that the rules for the origin are those
// of API requests.
func TestVerifyTakesTheOrdinaryFallbacks(t *testing.T) {
	s := gated(cognitotest.Options{})
	s.allowed = []string{"https://admin.example.com"}
	a := newApp(t, s)
	ua := a.login()
	for name, change := range map[string]func(http.Header){
		"X-CSRF":     func(h http.Header) { h.Del("Sec-Fetch-Site"); h.Set("X-Csrf", "1") },
		"own origin": func(h http.Header) { h.Del("Sec-Fetch-Site"); h.Set("Origin", a.url) },
		"allowed origin": func(h http.Header) {
			h.Set("Sec-Fetch-Site", "same-site")
			h.Set("Origin", "https://admin.example.com")
		},
		"typed": func(h http.Header) { h.Set("Sec-Fetch-Site", "none") },
	} {
		h := asked(ua)
		change(h)
		if res := a.verify("", h); res.Status != http.StatusNoContent || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", name, res.Status, res.Header)
		}
	}
}

// TestVerifyBelievesNoForwardedHeader checks that X-Forwarded-Uri and the like change
// nothing: another product admitted requests because of a header that the client had
// sent (CVE-2026-40575).
func TestVerifyBelievesNoForwardedHeader(t *testing.T) {
	a := newApp(t, gated(cognitotest.Options{}))
	ua := a.login()
	names := []string{
		"X-Forwarded-Uri", "X-Forwarded-Url", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Forwarded-Method", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Forwarded-For", "Forwarded", "X-Original-Url", "X-Original-Uri", "X-Original-Method", "X-Original-Host", "X-Rewrite-Url",
		"X-Http-Method-Override", "X-Method-Override", "X-Auth-Request-Redirect", "X-Auth-Request-User", "X-Auth-Subject", "X-Auth-Groups",
		"X-Envoy-Original-Path", "X-Real-Ip", "Authorization", "X-Auth-Cookie-1", "X-Auth-Error",
	}
	values := []string{"/auth/login", "/healthz", "/", "OPTIONS", "POST", "127.0.0.1", "https", "Bearer x", "admins", "/auth/verify/envoy/"}
	for name, c := range map[string]struct {
		query  string
		change func(http.Header)
	}{
		"good":       {"", func(http.Header) {}},
		"no session": {"", func(h http.Header) { h.Del("Cookie") }},
		"cross-site": {"", func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") }},
		"no group":   {"?group=admins", func(http.Header) {}},
	} {
		answer := func(more http.Header) (int, http.Header) {
			h := asked(ua)
			c.change(h)
			maps.Copy(h, more)
			res := a.verify(c.query, h)
			res.Header.Del("X-Request-ID")
			res.Header.Del("Date")
			return res.Status, res.Header
		}
		wantStatus, want := answer(nil)
		for _, header := range names {
			for _, value := range values {
				if status, got := answer(http.Header{header: {value}}); status != wantStatus || !maps.EqualFunc(got, want, slices.Equal) {
					t.Errorf("%s: %s: %s changes the answer to %d %v", name, header, value, status, got)
				}
			}
		}
	}
}

// TestVerifyRefreshesAndCountsAsActivity checks that a refresh that is due is made,
// that the request counts as activity, and that a refusal after a refresh still sets
// the new cookie.
func TestVerifyRefreshesAndCountsAsActivity(t *testing.T) {
	for name, c := range map[string]struct {
		query    string
		status   int
		numbered bool
	}{
		"passes":   {"", http.StatusNoContent, false},
		"numbered": {"?cookies=numbered", http.StatusNoContent, true},
		"refused":  {"?group=admins", http.StatusForbidden, false},
		"both":     {"?group=admins&cookies=numbered", http.StatusForbidden, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, gated(cognitotest.Options{AccessTTL: 10 * time.Minute, Rotation: true}))
			ua := a.login()
			before := a.provider.newest().Access.Reveal()
			a.clock.Advance(50 * time.Minute)
			res := a.verify(c.query, asked(ua))
			after := a.provider.newest().Access.Reveal()
			if res.Status != c.status || before == after {
				t.Errorf("%d %v", res.Status, res.Header)
			}
			if c.status == http.StatusNoContent && res.Header.Get("Authorization") != "Bearer "+after {
				t.Error("the gateway got another token")
			}
			if c.numbered {
				if len(res.Header["Set-Cookie"]) > 0 {
					t.Error("Set-Cookie beside its numbered headers")
				}
				res.Header["Set-Cookie"] = append(res.Header["X-Auth-Cookie-1"], res.Header["X-Auth-Cookie-2"]...)
			}
			cookies := setCookies(t, res.Header)
			if len(cookies) != 2 || cookies[sessionCookie] == nil || cookies[activeCookie] == nil {
				t.Fatalf("the answer sets %v", res.Header)
			}
			for _, c := range cookies {
				ua.SetCookie(useragent.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true, HTTPOnly: true})
			}
			a.clock.Advance(50 * time.Minute) // beyond the idle time-out of the login
			a.wantSession(ua, true)
		})
	}
}

// TestVerifyAnswersEnvoy checks that Envoy gets 200, which is the only status that it
// accepts, although it appends the original path and query and keeps the method.
func TestVerifyAnswersEnvoy(t *testing.T) {
	a := newApp(t, gated(cognitotest.Options{}))
	ua := a.login()
	for _, c := range []struct {
		method, path, site string
		status             int
	}{
		{http.MethodGet, "/auth/verify/envoy", "same-origin", 200},
		{http.MethodGet, "/auth/verify/envoy?group=readers", "same-origin", 200},
		{http.MethodGet, "/auth/verify/envoy?group=admins", "same-origin", 403},
		{http.MethodGet, "/auth/verify/envoy/", "same-origin", 200},
		{http.MethodGet, "/auth/verify/envoy/api/orders?group=admins&group=x&y=%zz", "same-origin", 200},
		{http.MethodDelete, "/auth/verify/envoy/api/orders", "same-origin", 200},
		{http.MethodPost, "/auth/verify/envoy/api/orders", "cross-site", 403},
		{http.MethodPost, "/auth/verify/envoy/api/orders", "none", 403},
		{http.MethodGet, "/auth/verify/envoy/api/orders", "none", 200},
	} {
		h := asked(ua)
		h.Set("Sec-Fetch-Site", c.site)
		res := a.send(t.Context(), c.method, c.path, h)
		a.wantBare(res)
		if res.Status != c.status || (res.Header.Get("Authorization") != "") != (c.status == http.StatusOK) {
			t.Errorf("%s %s from %s: %d %v", c.method, c.path, c.site, res.Status, res.Header)
		}
	}
}

func TestVerifyAsksForScopesAndGroups(t *testing.T) {
	a := newApp(t, gated(cognitotest.Options{}))
	ua := a.login()
	for query, want := range map[string]int{
		"?scope=openid":                                  204,
		"?scope=email+openid":                            204,
		"?scope=openid&group=readers":                    204,
		"?group=admins,writers":                          204,
		"?group=admins,owners":                           403,
		"?group=Readers":                                 403,
		"?group=" + url.QueryEscape("readers,writers x"): 204,
		"?group=" + url.QueryEscape(" readers"):          403,
		"?scope=openid+nothing":                          403,
	} {
		if res := a.verify(query, asked(ua)); res.Status != want {
			t.Errorf("%s: %d, want %d", query, res.Status, want)
		}
	}
}

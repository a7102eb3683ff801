package tokenhandler_test

import (
	"html"
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
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/secret"
)

// failLogin begins a login and opens its callback, which must fail.
func (a *app) failLogin() (*useragent.UA, *useragent.Response) {
	a.tb.Helper()
	ua := a.browser()
	tab, callback := a.begin(ua, "/auth/login?return_to=/notes")
	return ua, a.back(tab, callback)
}

// TestProviderErrors checks errors of the provider with and without state, which
// Cognito often omits. The provider's text must not reach the page: another product had
// an XSS by that (CVE-2021-32702). The log has it on one line, if the login is one of
// the browser; anybody can send the rest.
func TestProviderErrors(t *testing.T) {
	for code, want := range map[string]struct {
		status int
		code   string
	}{
		"access_denied":           {http.StatusForbidden, "access_denied"},
		"login_required":          {http.StatusBadRequest, "login_required"},
		"interaction_required":    {http.StatusBadRequest, "login_required"},
		"temporarily_unavailable": {http.StatusServiceUnavailable, "provider_unavailable"},
		"server_error":            {http.StatusBadGateway, "provider_error"},
		"unauthorized_client":     {http.StatusBadGateway, "provider_error"},
		"invalid_request":         {http.StatusBadRequest, "login_failed"},
		"invalid_scope":           {http.StatusBadGateway, "provider_error"},
		"":                        {http.StatusBadRequest, "login_failed"},
		"session_too_large":       {http.StatusBadRequest, "login_failed"}, // no error code of OAuth
		`<script>alert("` + cognitotest.Canary + `")</script>`: {http.StatusBadRequest, "login_failed"},
	} {
		for _, withState := range []bool{true, false} {
			a := newApp(t, settings{})
			a.pool.OnCallback(func(q url.Values) {
				q.Set("error", code)
				q.Set("error_description", "<b>"+cognitotest.Canary+"</b>\r\nX-Injected: 1")
				if !withState {
					q.Del("state")
				}
			})
			ua, res := a.failLogin()
			wantPage(t, res, want.status, want.code)
			wantNoSession(t, ua, res)
			if strings.Contains(string(res.Body), cognitotest.Canary) {
				t.Errorf("%s: the page holds text of the provider's: %s", code, res.Body)
			}
			const described = `,"description":"<b>` + cognitotest.Canary + `</b>  X-Injected: 1"`
			if a.log.Contains(described) != withState || a.log.Contains(cognitotest.Canary) != withState {
				t.Errorf("%s, with state %v: the log has the description, or lacks it", code, withState)
			}
			a.wantRedeemed(0)
			if got := len(loginCookies(ua)); got != map[bool]int{false: 1}[withState] {
				t.Errorf("%s: %d logins under way", code, got)
			}
			if withState != strings.Contains(string(res.Body), `href="/auth/login?return_to=%2Fnotes"`) {
				t.Errorf("%s: the way back: %s", code, res.Body)
			}
		}
	}
}

// TestIssuerIsCompared checks that iss is compared (RFC 9207 §2.4), also in errors,
// and before the code is redeemed.
func TestIssuerIsCompared(t *testing.T) {
	a := newApp(t, settings{})
	for _, iss := range []string{"", "https://evil.example", a.pool.Issuer() + "/", strings.ToUpper(a.pool.Issuer())} {
		for _, isError := range []bool{false, true} {
			a.pool.OnCallback(func(q url.Values) {
				q.Set("iss", iss)
				if isError {
					q.Set("error", "access_denied")
				}
			})
			ua, res := a.failLogin()
			wantPage(t, res, http.StatusBadRequest, "invalid_request")
			wantNoSession(t, ua, res)
			wantNoLogin(t, ua)
		}
	}
	a.wantRedeemed(0)
	a.pool.OnCallback(func(q url.Values) { q.Set("iss", a.pool.Issuer()) })
	if _, res := a.failLogin(); res.Status != http.StatusSeeOther || res.Location() != a.url+"/notes" {
		t.Errorf("the right issuer: %d to %s", res.Status, res.Location())
	}
}

// TestMissingIssuerIsRefused checks that a callback without iss is refused if the
// provider says that it sends it (RFC 9207 §2.4), also in errors: it may be
// another provider's.
func TestMissingIssuerIsRefused(t *testing.T) {
	for _, isError := range []bool{false, true} {
		a := newApp(t, settings{disconnected: true})
		a.pool.Break(cognitotest.Discovery, cognitotest.EditJSON("iss", func(document map[string]any) {
			document["authorization_response_iss_parameter_supported"] = true
		}), 0)
		a.connect()
		a.pool.OnCallback(func(q url.Values) {
			if isError {
				q.Set("error", "access_denied")
			}
		})
		_, res := a.failLogin()
		wantPage(t, res, http.StatusBadRequest, "invalid_request")
		a.wantRedeemed(0)
		a.pool.OnCallback(func(q url.Values) { q.Set("iss", a.pool.Issuer()) })
		a.loginIn(a.browser(), "/")
	}
}

// TestTokenEndpointOutages checks that, whatever the token endpoint answers, the user
// gets a page with an error code of the service, no session and no pending login.
func TestTokenEndpointOutages(t *testing.T) {
	t.Parallel()
	want := map[string]struct {
		status int
		code   string
	}{
		"hang":                    {http.StatusServiceUnavailable, "provider_unavailable"},
		"connection-reset":        {http.StatusServiceUnavailable, "provider_unavailable"},
		"html-500":                {http.StatusServiceUnavailable, "provider_unavailable"},
		"html-502":                {http.StatusServiceUnavailable, "provider_unavailable"},
		"json-500":                {http.StatusServiceUnavailable, "provider_unavailable"},
		"json-503":                {http.StatusServiceUnavailable, "provider_unavailable"},
		"rate-exceeded-429":       {http.StatusTooManyRequests, "rate_limited"},
		"invalid_grant":           {http.StatusBadRequest, "login_failed"},
		"temporarily_unavailable": {http.StatusServiceUnavailable, "provider_unavailable"},
	}
	either := []string{"cut-off", "truncated-json", "oversize"} // unavailable or an invalid response: both are right
	outages := slices.Concat(cognitotest.Outages, cognitotest.TokenOutages)
	const limited = "rate-exceeded-429"
	if len(outages) < 30 {
		t.Fatalf("%d outages", len(outages))
	}
	for _, outage := range outages {
		t.Run(outage.Name, func(t *testing.T) {
			a := newApp(t, settings{provider: func(c *cognito.Config) {
				if outage.Hangs || outage.Name == limited {
					c.Timeout = 2 * time.Second
				}
			}})
			a.pool.Break(cognitotest.TokenCode, outage, 0)
			ua, res := a.failLogin()
			tries := 1
			if res.Status == http.StatusFound { // the code was refused: the login begins again, once
				tries = 2
				res = a.back(ua, a.authorize(res.Location()))
			}
			if outage.MayAccept && res.Status == http.StatusSeeOther {
				return
			}
			expected, listed := want[outage.Name]
			switch {
			case slices.Contains(either, outage.Name) && res.Status == http.StatusServiceUnavailable:
				wantPage(t, res, http.StatusServiceUnavailable, "provider_unavailable")
			case listed:
				wantPage(t, res, expected.status, expected.code)
				if noted := a.log.Contains(`"error_code":"rate_limited"`); noted != (outage.Name == limited) {
					t.Errorf("the record of the request names a limit: %v", noted)
				}
			default:
				wantPage(t, res, http.StatusBadGateway, "provider_error")
			}
			wantNoSession(t, ua, res)
			wantNoLogin(t, ua)
			a.wantQuiet(res)
			if outage.Name != limited { // the code is not used up, so the call is repeated
				a.wantRedeemed(tries)
			}
			if got := a.pool.Count(cognitotest.Elsewhere); got != 0 {
				t.Error("the client secret followed a redirect")
			}
			// It recovers without a restart.
			a.pool.Mend(cognitotest.TokenCode)
			a.loginIn(ua, "/")
			a.wantSession(ua, true)
		})
	}
}

// TestFaultyTokens checks that no token that must be refused makes a session (OpenID
// Connect Core 1.0 §3.1.3.7).
func TestFaultyTokens(t *testing.T) {
	faults := slices.Concat(cognitotest.IDTokenFaults, cognitotest.AccessTokenFaults)
	if len(faults) < 35 {
		t.Fatalf("%d faults", len(faults))
	}
	for _, fault := range faults {
		t.Run(fault.Name, func(t *testing.T) {
			a := newApp(t, settings{})
			fault.Apply(a.pool)
			ua, res := a.failLogin()
			if fault.MayAccept && res.Status == http.StatusSeeOther {
				return
			}
			wantPage(t, res, http.StatusBadGateway, "provider_error")
			wantNoSession(t, ua, res)
			wantNoLogin(t, ua)
			a.wantQuiet(res)
			a.wantSession(ua, false)
		})
	}
}

// TestMaxAgeIsChecked checks that an app that requires a fresh authentication does
// not get the old one of the provider's session (OpenID Connect Core 1.0 §3.1.2.1).
func TestMaxAgeIsChecked(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	a.pool.EditIDToken(func(token *cognitotest.Token) {
		token.Claims["auth_time"] = a.clock.Now().Add(-time.Hour).Unix()
	})
	for query, want := range map[string]int{"": http.StatusSeeOther, "max_age=7200": http.StatusSeeOther, "max_age=600": http.StatusBadGateway, "max_age=0": http.StatusBadGateway} {
		tab, callback := a.begin(ua, "/auth/login?"+query)
		if res := a.back(tab, callback); res.Status != want {
			t.Errorf("%q: %d, want %d", query, res.Status, want)
		}
	}
}

// TestErrorPath checks that the app's page gets the error code of the service and the
// request id, and nothing of the provider.
func TestErrorPath(t *testing.T) {
	a := newApp(t, settings{handler: func(c *tokenhandler.Config) { c.ErrorPath = "/sign-in-failed" }})
	a.pool.OnCallback(func(q url.Values) {
		q.Set("error", "access_denied")
		q.Set("error_description", cognitotest.Canary)
	})
	ua, res := a.failLogin()
	target := testkit.MustURL(t, res.Header.Get("Location"))
	id := target.Query().Get("request_id")
	if res.Status != http.StatusSeeOther || target.Host != "" || target.Path != "/sign-in-failed" ||
		target.Query().Get("error") != "access_denied" || len(target.Query()) != 3 || target.Query().Get("return_to") != "/notes" || id == "" || id != res.Header.Get("X-Request-ID") {
		t.Errorf("%d to %s", res.Status, target)
	}
	if !a.log.Contains(`"msg":"login failed","reason":"access_denied"`) || !a.log.Contains(id) {
		t.Error("the log does not know the request id of the failure")
	}
	wantNoLogin(t, ua)
	stranger := a.browser()
	for _, query := range []string{"", "?state=0&state=1", "?error=%3Cscript%3E&error_description=x", "?code=x"} {
		if res := a.page(stranger, "/auth/callback"+query, nil); res.Status != http.StatusSeeOther || !strings.HasPrefix(res.Location(), a.url+"/sign-in-failed?error=") {
			t.Errorf("%s: %d to %s", query, res.Status, res.Location())
		}
	}
}

// TestPageEscapesTheReturnPath checks that the return path, which a link of anybody
// can set, is escaped on the service's page.
func TestPageEscapesTheReturnPath(t *testing.T) {
	a := newApp(t, settings{})
	a.pool.OnCallback(func(q url.Values) { q.Set("error", "access_denied") })
	for _, returnTo := range []string{
		`/"><script>alert(1)</script>`, `/' onmouseover='alert(1)`, `/x?a="><img src=x onerror=alert(1)>`, `/x#"><svg/onload=alert(1)>`,
		"/javascript:alert(1)", `/x?a=&quot;&gt;`, "/{{.Code}}",
	} {
		ua := a.browser()
		tab, callback := a.begin(ua, "/auth/login?return_to="+url.QueryEscape(returnTo))
		res := a.back(tab, callback)
		wantPage(t, res, http.StatusForbidden, "access_denied")
		page := string(res.Body)
		for _, bad := range []string{"<script", "<img", "<svg", "onmouseover='", `"javascript:`} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page holds %s: %s", returnTo, bad, page)
			}
		}
		_, rest, _ := strings.Cut(page, `<a href="`)
		link, _, _ := strings.Cut(rest, `"`)
		again := testkit.MustURL(t, html.UnescapeString(link))
		if again.Host != "" || again.Path != "/auth/login" || len(again.Query()) > 1 {
			t.Errorf("%s: the link leads to %s", returnTo, again)
		}
	}
}

// TestSessionTooLarge checks that the answer names the cause and sets no part of a
// session, and that the tokens are revoked, because nobody will use them.
func TestSessionTooLarge(t *testing.T) {
	a := newApp(t, settings{sameSite: true, pool: cognitotest.Options{AccessTokenSize: 12000}})
	ua, res := a.failLogin()
	wantPage(t, res, http.StatusInternalServerError, "session_too_large")
	wantNoSession(t, ua, res)
	wantNoLogin(t, ua)
	if !a.pool.Revoked(a.provider.newest().Refresh.Reveal()) {
		t.Error("the refresh token lives on")
	}
	if !a.log.Contains("access token 12") {
		t.Error("the log does not say what made it large")
	}
	if got := a.metric("tokenhandler_logins_total", "session_too_large"); got != 1 {
		t.Errorf("%v counted", got)
	}
}

// TestFailedLoginKeepsTheEarlierSession checks that a login that fails does not end
// the session that the browser had.
func TestFailedLoginKeepsTheEarlierSession(t *testing.T) {
	a := newApp(t, settings{sameSite: true})
	ua := a.login()
	a.provider.exchanged = func(tokens secret.Tokens) secret.Tokens {
		tokens.Claims = `{"x":"` + strings.Repeat("<>&%", 20000) + `"}`
		return tokens
	}
	tab, callback := a.begin(ua, "/auth/login")
	wantPage(t, a.back(tab, callback), http.StatusInternalServerError, "session_too_large")
	a.wantSession(ua, true)
	a.pool.Break(cognitotest.TokenCode, cognitotest.OAuthError("invalid_grant"), 1)
	tab, callback = a.begin(ua, "/auth/login")
	if res := a.back(tab, callback); res.Status != http.StatusFound {
		t.Errorf("a refused code: %d", res.Status)
	}
	a.wantSession(ua, true)
}

// TestRequestSessionIsEnough: a browser that has a session, but no cookie of what began, is not
// sent to log in again by somebody else's callback.
func TestRequestSessionIsEnough(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	ua.DeleteCookie(beganCookie)
	if res := ua.Open(useragent.Navigation{URL: "/auth/callback?code=x&state=0x", From: a.url, NoFollow: true}); res.Status != http.StatusSeeOther || res.Location() != a.url+"/" {
		t.Errorf("%d to %s", res.Status, res.Location())
	}
}

// TestOnlyNavigationsAreTriedAgain: a fetch of a callback whose code is refused gets the failure.
// It could not follow the redirect.
func TestOnlyNavigationsAreTriedAgain(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	_, callback := a.begin(ua, "/auth/login")
	res := ua.Fetch(http.MethodGet, with(t, callback, func(q url.Values) { q.Set("code", "x") }), "", useragent.FetchOptions{Redirect: "manual"})
	wantPage(t, res, http.StatusBadRequest, "login_failed")
}

// TestBeginningAheadOfTheClock: a replica whose clock is a minute ahead may have begun the login.
func TestBeginningAheadOfTheClock(t *testing.T) {
	for ahead, want := range map[time.Duration]int{time.Minute: http.StatusFound, time.Minute + time.Second: http.StatusBadRequest} {
		a := newApp(t, settings{})
		ua := a.browser()
		a.begin(ua, "/auth/login")
		a.clock.Advance(-ahead)
		res := a.page(ua, "/auth/callback?code=x", nil)
		if res.Status != want {
			t.Errorf("%s: %d, want %d", ahead, res.Status, want)
		}
		if want == http.StatusBadRequest && !strings.Contains(string(res.Body), `<a href="/auth/login">`) {
			t.Errorf("the link to try again has parameters: %s", res.Body)
		}
	}
}

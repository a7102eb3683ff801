package tokenhandler_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/session"
)

// TestLoginsInTabs checks that each tab has a login of its own. In another product
// the second login overwrites the first. With six, the oldest is removed; the others
// complete in any order.
func TestLoginsInTabs(t *testing.T) {
	for name, order := range map[string][]int{"first to last": {1, 2, 3, 4, 5}, "last to first": {5, 4, 3, 2, 1}, "mixed": {3, 1, 5, 2, 4}} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.browser()
			var tabs []*useragent.UA
			var callbacks []string
			for i := range 6 {
				tab, callback := a.begin(ua, "/auth/login?return_to=/tab"+strconv.Itoa(i))
				tabs, callbacks = append(tabs, tab), append(callbacks, callback)
				if want := min(i+1, 5); len(loginCookies(ua)) != want {
					t.Errorf("%d logins under way, want %d", len(loginCookies(ua)), want)
				}
				a.clock.Advance(time.Millisecond) // as fast as a browser restores its tabs
			}
			for _, i := range order {
				res := a.back(tabs[i], callbacks[i])
				if res.Status != http.StatusSeeOther || res.Header.Get("Location") != "/tab"+strconv.Itoa(i) {
					t.Errorf("tab %d: %d to %s", i, res.Status, res.Location())
				}
				a.wantSession(ua, true)
			}
			wantNoLogin(t, ua)
			a.wantRedeemed(5)
			// The sixth was the oldest: it is sent to the provider once more.
			if res := a.back(tabs[0], callbacks[0]); res.Status != http.StatusFound || !strings.HasPrefix(res.Location(), a.pool.URL) {
				t.Errorf("the oldest: %d to %s", res.Status, res.Location())
			}
			a.wantRedeemed(5)
		})
	}
}

// TestLoginDropsUnreadableCookies checks that login cookies that do not open are
// removed. In another product they fail every later login, or add up until the answer
// is 431.
func TestLoginDropsUnreadableCookies(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.browser()
	a.begin(ua, "/auth/login")
	old := loginCookies(ua)[0]
	a.clock.Advance(tokenhandler.LoginLifetime + time.Second)
	good, _ := a.begin(ua, "/auth/login")
	kept := loginCookies(ua)
	value, _ := ua.Cookie(kept[0])
	ua.SetCookie(useragent.Cookie{Name: loginPrefix + "garbage1", Value: "garbage"})
	ua.SetCookie(useragent.Cookie{Name: loginPrefix + "empty123", Value: ""})
	ua.SetCookie(useragent.Cookie{Name: loginPrefix + "swapped1", Value: value.Value})
	ua.SetCookie(useragent.Cookie{Name: loginPrefix + "quoted12", Value: `a"b`}) // not a value that net/http accepts
	ua.SetCookie(useragent.Cookie{Name: old, Value: "expired"})
	res := a.page(good, "/auth/login", nil)
	for _, name := range []string{loginPrefix + "garbage1", loginPrefix + "empty123", loginPrefix + "swapped1", loginPrefix + "quoted12", old} {
		if c := setCookies(t, res.Header)[name]; c == nil || c.MaxAge >= 0 || c.SameSite != http.SameSiteLaxMode || !c.Secure || c.Path != "/" {
			t.Errorf("%s is not removed: %+v", name, c)
		}
	}
	if got := loginCookies(ua); len(got) != 2 || !slices.Contains(got, kept[0]) {
		t.Errorf("logins under way: %v, want %s and a new one", got, kept[0])
	}
}

// TestLoginKeepsTheCookieBudget checks that logins with long return paths beside a
// session stay below the 7,500 bytes that proxies let through: the oldest are
// removed.
func TestLoginKeepsTheCookieBudget(t *testing.T) {
	a := newApp(t, settings{})
	ua := a.login()
	for range 6 {
		a.begin(ua, "/auth/login?return_to=/"+strings.Repeat("a", 1000))
		a.clock.Advance(time.Second)
		total := 0
		for _, c := range ua.Cookies() {
			total += len(c.Name) + len(c.Value) + len("=; ")
		}
		if total > session.Budget {
			t.Errorf("%d bytes of cookies", total)
		}
	}
	if n := len(loginCookies(ua)); n < 2 || n > 4 {
		t.Errorf("%d logins under way", n)
	}
	a.wantSession(ua, true)
}

// TestSessionKeepsTheCookieBudget checks that a new large session removes the logins
// of other tabs, and not the other way round.
func TestSessionKeepsTheCookieBudget(t *testing.T) {
	a := newApp(t, settings{pool: cognitotest.Options{RefreshTokenSize: 4200}})
	ua := a.browser()
	for range 2 {
		a.begin(ua, "/auth/login?return_to=/"+strings.Repeat("a", 1000))
		a.clock.Advance(time.Second)
	}
	a.loginIn(ua, "/")
	total := 0
	for _, c := range ours(ua) {
		total += len(c.Name) + len(c.Value) + len("=; ")
	}
	if total > session.Budget {
		t.Errorf("%d bytes of cookies", total)
	}
	a.wantSession(ua, true)
}

// TestManyCookiesDoNotLockOut checks that a browser with more cookies than the
// service reads can log in, and has only the usual ones afterwards.
func TestManyCookiesDoNotLockOut(t *testing.T) {
	for name, value := range map[string]string{"garbage": "garbage", "no cookie value for net/http": `a"b\c`} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, settings{})
			ua := a.browser()
			for i := range 50 {
				ua.SetCookie(useragent.Cookie{Name: loginPrefix + "garbage" + strconv.Itoa(i), Value: value})
			}
			res := ua.Fetch(http.MethodGet, "/api/me", "")
			testkit.WantProblem(t, res.Answer(), http.StatusRequestHeaderFieldsTooLarge, "cookies_too_large")
			a.wantSession(ua, false)
			a.loginIn(ua, "/")
			wantNoLogin(t, ua)
			a.wantSession(ua, true)
		})
	}
}

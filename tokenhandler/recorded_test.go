package tokenhandler_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
	"cognito-token-handler/tokenhandler/session"
)

// record makes [TestRecordedCookies] write a new recording first. Do that before a release:
//
//	go test ./tokenhandler -run TestRecordedCookies -record v1.2
//
// and delete the recordings of releases from which nobody can upgrade in one step any more.
var record = flag.String("record", "", "write what browsers hold of this release to testdata/recorded/`NAME`.json")

// recording is what a browser holds: the cookies by name, and a path of the service, which
// may contain a sealed value, too.
type recording struct {
	Path    string            `json:"path"`
	Cookies map[string]string `json:"cookies"`
}

// recorded are all kinds of sealed values that /auth gives to browsers.
var recorded = map[string]struct {
	openID bool
	// make has the browser get the cookies, and returns the path.
	make func(a *app, ua *useragent.UA) (path string)
	// want checks that they mean the same in this release.
	want func(a *app, ua *useragent.UA, path string)
}{
	"session": {
		make: func(a *app, ua *useragent.UA) string {
			a.loginIn(ua, "/")
			return "/auth/session"
		},
		want: func(a *app, ua *useragent.UA, _ string) {
			if s := a.session(ua); !s.Authenticated || s.User["email"] != "demo@example.com" || !s.IdleExpiresAt.Equal(a.clock.Now().Add(a.store.IdleTimeout())) {
				a.tb.Errorf("the session is %+v", s)
			}
		},
	},
	"began: the session that a login replaces": {
		make: func(a *app, ua *useragent.UA) string {
			a.loginIn(ua, "/")
			ua.DeleteCookie(sessionCookie)
			ua.DeleteCookie(activeCookie)
			return "/auth/login"
		},
		want: func(a *app, ua *useragent.UA, _ string) {
			if a.loginIn(ua, "/"); a.metric("tokenhandler_sessions_replaced_total", "denied") != 1 {
				a.tb.Error("the login replaces no session")
			}
		},
	},
	"began: the login whose cookie is lost": {
		make: func(a *app, ua *useragent.UA) string {
			path := beginRecorded(a, ua) + "&code=made-up"
			ua.DeleteCookie(loginCookie(a.tb, ua).Name)
			return path
		},
		want: func(a *app, ua *useragent.UA, path string) {
			if res := a.back(ua, a.url+path); res.Status != http.StatusFound || !strings.HasPrefix(res.Location(), a.pool.URL) {
				a.tb.Errorf("no new login begins: %d to %s", res.Status, res.Location())
			}
		},
	},
	"login": {
		make: func(a *app, ua *useragent.UA) string {
			path := beginRecorded(a, ua) + "&error=access_denied"
			ua.DeleteCookie(beganCookie)
			return path
		},
		want: func(a *app, ua *useragent.UA, path string) {
			res := a.back(ua, a.url+path)
			wantPage(a.tb, res, http.StatusForbidden, "access_denied")
			if !strings.Contains(string(res.Body), "return_to=%2Fnotes") {
				a.tb.Errorf("the page does not lead back: %s", res.Body)
			}
		},
	},
	"logout: the way back": {
		make: func(a *app, ua *useragent.UA) string {
			a.loginIn(ua, "/")
			if res := ua.Fetch(http.MethodPost, "/auth/logout?return_to=/notes", ""); res.Status != http.StatusOK {
				a.tb.Fatalf("%d %s", res.Status, res.Body)
			}
			return "/auth/logout/done"
		},
		want: wantNotes,
	},
	"logout: the provider's page": {
		openID: true,
		make: func(a *app, ua *useragent.UA) string {
			a.loginIn(ua, "/")
			return strings.TrimPrefix(a.logoutByScript(ua), a.url)
		},
		want: func(a *app, ua *useragent.UA, path string) {
			if res := ua.NavigateNoFollow(path); testkit.MustURL(a.tb, res.Location()).Query().Get("id_token_hint") == "" {
				a.tb.Errorf("no ID token: %d to %s", res.Status, res.Location())
			}
		},
	},
	"passkeys": {
		make: func(a *app, ua *useragent.UA) string {
			if res := ua.NavigateNoFollow("/auth/passkeys/add?return_to=/notes"); res.Status != http.StatusFound {
				a.tb.Fatalf("%d %s", res.Status, res.Body)
			}
			return "/auth/passkeys/done"
		},
		want: wantNotes,
	},
}

// beginRecorded begins a login, and returns the path of the callback with its state.
func beginRecorded(a *app, ua *useragent.UA) (path string) {
	res := ua.NavigateNoFollow("/auth/login?return_to=/notes")
	return "/auth/callback?state=" + testkit.MustURL(a.tb, res.Location()).Query().Get("state")
}

// wantNotes checks that the provider's redirect leads to the app's page of that name.
func wantNotes(a *app, ua *useragent.UA, path string) {
	if res := a.back(ua, a.url+path); res.Status != http.StatusSeeOther || strings.TrimPrefix(res.Location(), a.url) != "/notes" {
		a.tb.Errorf("%d to %s", res.Status, res.Location())
	}
}

// newRecordedApp returns an app whose cookies are bound to a provider that does not change
// from run to run.
func newRecordedApp(tb testing.TB, openIDProvider bool) *app {
	tb.Helper()
	var a *app
	s := withPasskeys()
	if openIDProvider {
		s = openID(&a)
	}
	s.session = func(c *session.Config) {
		c.Issuer, c.ClientID, c.KeepIDToken = "https://issuer.example", "client", openIDProvider
	}
	a = newApp(tb, s)
	return a
}

// TestRecordedCookies: what browsers hold of each recorded release means the same in this
// one. A change that another release's cookies do not survive logs everybody out.
func TestRecordedCookies(t *testing.T) {
	if *record != "" {
		writeRecording(t, filepath.Join("testdata", "recorded", *record+".json"))
	}
	files, err := filepath.Glob(filepath.Join("testdata", "recorded", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("there is no recording", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var recordings map[string]recording
		if err := json.Unmarshal(content, &recordings); err != nil {
			t.Fatal(err)
		}
		for kind, held := range recordings {
			t.Run(filepath.Base(file)+"/"+kind, func(t *testing.T) {
				a := newRecordedApp(t, recorded[kind].openID)
				ua := a.browser()
				for name, value := range held.Cookies {
					ua.SetCookie(useragent.Cookie{Name: name, Value: value, Path: "/", HTTPOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
				}
				recorded[kind].want(a, ua, held.Path)
			})
		}
	}
}

// writeRecording records every kind.
func writeRecording(t *testing.T, file string) {
	t.Helper()
	recordings := map[string]recording{}
	for kind, of := range recorded {
		a := newRecordedApp(t, of.openID)
		ua := a.browser()
		held := recording{Path: of.make(a, ua), Cookies: map[string]string{}}
		for _, c := range ours(ua) {
			held.Cookies[c.Name] = c.Value
		}
		recordings[kind] = held
	}
	content, err := json.MarshalIndent(recordings, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(content, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

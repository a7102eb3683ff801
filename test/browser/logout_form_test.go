//go:build e2e

package browser_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
)

// TestLogoutByForm posts a form of the app's page, as an app without script would. The app's Content-Security-Policy allows forms to
// the app's own origin only, and browsers check form-action for every redirect of a form.
func TestLogoutByForm(t *testing.T) {
	for site, config := range map[string]func(*devstack.Stack, devstack.Config){"same-site": nil, "cross-site": onAnotherSite} {
		t.Run(site, func(t *testing.T) {
			w := newWorld(t, devstack.Options{ExtraConfig: config})
			tab := w.tab()
			tab.open("/")
			tab.login(cognitolocal.DemoUser)
			tab.postLogout()
			tab.waitFor("the provider's logout page", func() bool { return tab.visited("/logout?") })
			tab.waitPhase("anonymous")
			if at := run[string](tab, "location.href"); at != w.stack.URL+"/" {
				t.Errorf("logging out ended at %s", at)
			}
			if left, ok := tab.last("/auth/logout"); !ok || left.status != 200 {
				t.Errorf("the app answered %s", left)
			}
			if cookies := tab.cookies(); len(cookies) != 0 {
				t.Errorf("%d cookies are left", len(cookies))
			}
			w.wantQuiet()
		})
	}
}

// postLogout posts a form to /auth/logout.
func (t *tab) postLogout() {
	t.t.Helper()
	run[any](t, `{
		const form = document.createElement("form")
		form.method = "post"
		form.action = "/auth/logout"
		document.body.append(form)
		form.submit()
	}`)
}

// logoutPages are a provider's logout whose pages are on two origins, as those of Ory Hydra are: the second one has an app of its own
// for logins and logouts.
type logoutPages struct {
	front, back *httptest.Server

	mu    sync.Mutex
	asked []url.Values
}

func newLogoutPages(t *testing.T) *logoutPages {
	p := &logoutPages{}
	p.back = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("back"), http.StatusFound)
	}))
	p.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		p.mu.Lock()
		p.asked = append(p.asked, query)
		p.mu.Unlock()
		http.Redirect(w, r, p.back.URL+"/logout?"+url.Values{"back": query["post_logout_redirect_uri"]}.Encode(), http.StatusFound)
	}))
	t.Cleanup(p.front.Close)
	t.Cleanup(p.back.Close)
	return p
}

func (p *logoutPages) queries() []url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// TestLogoutAcrossOrigins logs out at a plain OpenID provider whose logout leads over a further origin: by a form and by a script. The
// provider gets the ID token as a hint both times, and no script can read it.
func TestLogoutAcrossOrigins(t *testing.T) {
	for how, start := range map[string]func(*tab){
		"form":   func(tab *tab) { tab.postLogout() },
		"script": func(tab *tab) { tab.click(id("logout")) },
	} {
		t.Run(how, func(t *testing.T) {
			pages := newLogoutPages(t)
			w := newWorld(t, devstack.Options{ExtraConfig: func(_ *devstack.Stack, config devstack.Config) {
				config.Set("provider.kind", "oidc")
				config.Set("provider.endpoints.logout", pages.front.URL+"/end")
			}})
			tab := w.tab()
			tab.open("/")
			tab.login(cognitolocal.DemoUser)
			start(tab)
			tab.waitFor("the provider's second page", func() bool { return tab.visited(pages.back.URL) })
			tab.waitPhase("anonymous")
			if at := run[string](tab, "location.href"); at != w.stack.URL+"/" {
				t.Errorf("logging out ended at %s", at)
			}
			asked := pages.queries()
			if len(asked) != 1 || strings.Count(asked[0].Get("id_token_hint"), ".") != 2 {
				t.Errorf("the provider was asked %d times, or without a hint", len(asked))
			}
			if cookies := tab.cookies(); len(cookies) != 0 {
				t.Errorf("%d cookies are left", len(cookies))
			}
			tab.wantNothingVisible("after the logout")
			w.wantQuiet()
		})
	}
}

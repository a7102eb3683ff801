//go:build e2e

package browser_test

import (
	"testing"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
)

// TestLogoutByForm posts a form of the app's page, as an app without script would. The app's Content-Security-Policy must allow the
// redirect to the provider: browsers check form-action for every redirect of a form.
func TestLogoutByForm(t *testing.T) {
	for site, config := range map[string]func(*devstack.Stack, devstack.Config){"same-site": nil, "cross-site": onAnotherSite} {
		t.Run(site, func(t *testing.T) {
			w := newWorld(t, devstack.Options{ExtraConfig: config})
			tab := w.tab()
			tab.open("/")
			tab.login(cognitolocal.DemoUser)
			run[any](tab, `{
				const form = document.createElement("form")
				form.method = "post"
				form.action = "/auth/logout"
				document.body.append(form)
				form.submit()
			}`)
			tab.waitFor("the provider's logout page", func() bool { return tab.visited("/logout?") })
			tab.waitPhase("anonymous")
			if at := run[string](tab, "location.href"); at != w.stack.URL+"/" {
				t.Errorf("logging out ended at %s", at)
			}
			if left, ok := tab.last("/auth/logout"); !ok || left.status != 303 {
				t.Errorf("the app answered %s", left)
			}
			if cookies := tab.cookies(); len(cookies) != 0 {
				t.Errorf("%d cookies are left", len(cookies))
			}
			w.wantQuiet()
		})
	}
}

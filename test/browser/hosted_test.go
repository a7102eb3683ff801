//go:build e2e

package browser_test

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"cognito-token-handler/test/devstack"
)

// TestHostedPages: a new user signs up, comes back with a forgotten password, and adds a passkey and uses it, all at the local stack's own pages. The
// app is opened at 127.0.0.1, and comes to the public URL.
func TestHostedPages(t *testing.T) {
	w := newWorld(t, devstack.Options{})
	tab := w.tab()
	const user, first, second = "ada+1@example.com", "First-Passw0rd!", "Second-Passw0rd!"

	tab.do("opening", chromedp.Navigate(strings.Replace(w.stack.URL, "localhost", "127.0.0.1", 1)+"/auth/signup"))
	tab.waitTitle("Create an account")
	tab.shoot("20-sign-up", true)
	tab.finishLogin(user, "weak")
	tab.waitAlert("The password still needs")
	tab.shoot("21-sign-up-error", true)
	tab.finishLogin(user, first)
	tab.waitTitle("Confirm your e-mail")
	tab.shoot("22-confirm", true)
	tab.fill("#code-field", "1"+kb.Enter)
	tab.waitAlert("The code is wrong.")
	tab.fill("#code-field", run[string](tab, "document.querySelector('#code').textContent")+kb.Enter)
	tab.waitPhase("authenticated")
	tab.wantText("who-email", user)

	tab.logout()
	tab.startLogin()
	tab.shoot("23-sign-in", true)
	tab.click("[data-show]")
	tab.wait("document.querySelector('#password').type === 'text'")
	if said := run[string](tab, "document.querySelector('[data-show]').innerText + ': ' + document.querySelector('[data-show]').ariaLabel"); said != "Hide: Hide the password" {
		t.Errorf("the button reads and is called %q", said)
	}
	tab.click("[data-show]")
	tab.click("[href^='/forgotPassword']")
	tab.waitTitle("Forgot your password?")
	tab.fill("#username", user+kb.Enter)
	tab.waitTitle("Set a new password")
	tab.shoot("24-reset", true)
	tab.fill("#code-field", run[string](tab, "document.querySelector('#code').textContent"))
	tab.fill("#password", second+kb.Enter)
	tab.waitPhase("authenticated")
	tab.wantText("who-email", user)

	tab.addPasskey(user)
	w.wantQuiet()
}

func (t *tab) waitTitle(title string) {
	t.t.Helper()
	t.wait("document.readyState === 'complete' && document.title === '" + title + " · Local Cognito'")
}

func (t *tab) waitAlert(text string) {
	t.t.Helper()
	t.wait("document.readyState === 'complete' && document.querySelector('[role=alert]:not([hidden])')?.textContent.includes('" + text + "')")
}

// addPasskey lets a virtual authenticator make a passkey, after the user has declined it once, and signs the user in with it.
func (t *tab) addPasskey(user string) {
	t.t.Helper()
	must(t, webauthn.Enable, webauthn.EnableParams{})
	authenticator := must(t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true,
		HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}})
	t.open("/auth/passkeys/add?return_to=/?passkey=none")
	t.waitTitle("Add a passkey")
	t.shoot("25-passkey", true)
	t.click("main .other a")
	t.wait("location.search === '?passkey=none'")
	t.waitPhase("authenticated")

	t.open("/auth/passkeys/add?return_to=/?passkey=added")
	t.click("main .primary")
	t.wait("location.search === '?passkey=added'")
	t.waitPhase("authenticated")
	t.wantText("who-email", user)
	kept := must(t, webauthn.GetCredentials, webauthn.GetCredentialsParams(authenticator))
	if ids := t.w.stack.Pool.Passkeys(user); len(ids) != 1 || len(kept.Credentials) != 1 {
		t.t.Errorf("the pool has %d passkeys, the authenticator %d", len(ids), len(kept.Credentials))
	}

	t.logout()
	t.startLogin()
	t.shoot("26-sign-in-passkey", true)
	t.click("#passkey-signin .second")
	t.waitPhase("authenticated")
	t.wantText("who-email", user)
	must(t, webauthn.Disable, cdp.Empty{})
}

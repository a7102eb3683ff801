//go:build e2e

package e2e_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const (
	demo     = "demo@example.com"
	second   = "second@example.com"
	password = "Demo-Passw0rd!"
)

// newStack starts all processes. TOKENHANDLER_BINARY is the path of the token handler.
func newStack(t *testing.T, options devstack.Options) *devstack.Stack {
	t.Helper()
	options.Binary = os.Getenv("TOKENHANDLER_BINARY")
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	stack, err := devstack.Start(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stack.Close()
		log := stack.HandlerLog()
		if strings.Contains(log, "DATA RACE") {
			t.Error("the race detector found a data race")
		}
		if t.Failed() {
			t.Logf("the token handler's log:\n%s", log)
		}
	})
	return stack
}

// login logs a user in with the provider's login form.
func login(t *testing.T, stack *devstack.Stack, email string) *useragent.UA {
	t.Helper()
	ua := useragent.New(t, stack.URL)
	r := signIn(t, ua, email, password)
	if _, in := ua.Cookie(testkit.Cookies(stack.URL).Session); !in || !strings.HasPrefix(r.URL, stack.URL) {
		t.Fatalf("the login ended at %s: %d %s", r.URL, r.Status, r.Body)
	}
	return ua
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

func signIn(t *testing.T, ua *useragent.UA, email, password string) *useragent.Response {
	t.Helper()
	page := ua.Navigate("/auth/login")
	form := url.Values{"username": {email}, "password": {password}}
	for _, m := range hidden.FindAllStringSubmatch(string(page.Body), -1) {
		form.Set(m[1], m[2])
	}
	if page.Status != http.StatusOK || len(form) < 5 {
		t.Fatalf("no login form at %s: %d %s", page.URL, page.Status, page.Body)
	}
	action, err := url.JoinPath(origin(t, page.URL), "/oauth2/authorize")
	if err != nil {
		t.Fatal(err)
	}
	return ua.SubmitForm(action, form)
}

func origin(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Scheme + "://" + u.Host
}

// session is the body of GET /auth/session.
type session struct {
	Authenticated bool
	User          struct {
		Sub, Username, Email string
		Groups               []string
	}
	ExpiresAt            time.Time `json:"expires_at"`
	IdleExpiresAt        time.Time `json:"idle_expires_at"`
	AccessTokenExpiresAt time.Time `json:"access_token_expires_at"`
}

func whoAmI(t *testing.T, ua *useragent.UA) session {
	t.Helper()
	r := ua.Fetch(http.MethodGet, "/auth/session", "")
	var s session
	if err := r.JSON(&s); err != nil || r.Status != http.StatusOK {
		t.Fatalf("session: %d %s %v", r.Status, r.Body, err)
	}
	return s
}

// until waits for a time that the service has returned.
func until(t *testing.T, moment time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(moment)):
	case <-t.Context().Done():
		t.Fatal("the test ended first")
	}
}

func subOf(t *testing.T, stack *devstack.Stack, email string) string {
	t.Helper()
	sub, err := stack.Pool.Sub(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

package doctor_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/test/cognitotest"
)

func TestEverythingIsGood(t *testing.T) {
	r := setup{}.examine(t)
	wantNone(t, r, doctor.Fault, doctor.AreaConfig, doctor.AreaHost, doctor.AreaProvider, doctor.AreaClient)
	wantNone(t, r, doctor.Warning, doctor.AreaHost, doctor.AreaProvider)
	for _, what := range []string{"is reached at 127.0.0.1:", "clocks", "names itself"} {
		want(t, r, doctor.AreaProvider, doctor.Good, what, "")
	}
	for _, what := range []string{"The client secret is accepted", "/auth/callback leads to a login page", "/auth/passkeys/done leads to a login page", publicURL + "/ is registered", "/auth/logout/done is registered"} {
		want(t, r, doctor.AreaClient, doctor.Good, what, "")
	}
	want(t, r, doctor.AreaHost, doctor.Good, "The session key 063abc8a is in line 2 of ", "")
	want(t, r, doctor.AreaHost, doctor.Good, "in line 4 of ", "")
	again := setup{}.examine(t)
	if len(again.Findings) != len(r.Findings) {
		t.Fatalf("%d findings, then %d", len(r.Findings), len(again.Findings))
	}
	for i, f := range r.Findings {
		if f.Area != again.Findings[i].Area || f.What[:5] != again.Findings[i].What[:5] {
			t.Errorf("in another order: %q, then %q", f.What, again.Findings[i].What)
		}
	}
}

// TestProviderThatCannotBeUsed checks that each fault of a provider that answers is told,
// and its text is not.
func TestProviderThatCannotBeUsed(t *testing.T) {
	for _, tt := range []struct {
		name, endpoint string
		outage         cognitotest.Outage
		what, cure     string
	}{
		{"another issuer", cognitotest.Discovery, cognitotest.EditJSON("issuer", func(body map[string]any) {
			body["issuer"] = "https://other.example/\x1b[31m" + strings.Repeat("x", 5000)
		}), "and provider.issuer is another", "exactly as the document has it"},
		{"no domain", cognitotest.Discovery, cognitotest.EditJSON("domain", func(body map[string]any) { delete(body, "token_endpoint") }), "no token_endpoint", "needs a domain"},
		{"html", cognitotest.Discovery, cognitotest.Text("html", http.StatusOK, "text/html", "<html>"+cognitotest.Canary), "could not be read", ".well-known/openid-configuration"},
		{"redirect", cognitotest.Discovery, cognitotest.Redirected(), "answered unexpectedly (status 30", ".well-known/openid-configuration"},
		{"not found", cognitotest.Discovery, cognitotest.Text("404", http.StatusNotFound, "text/html", cognitotest.Canary), "status 404", ".well-known/openid-configuration"},
		{"failing", cognitotest.Discovery, cognitotest.Text("500", http.StatusInternalServerError, "text/html", cognitotest.Canary), "busy or failing (status 500", "provider's status"},
		{"reset", cognitotest.Discovery, cognitotest.Reset(), "(reset)", "proxies and firewalls"},
		{"no keys", cognitotest.JWKS, cognitotest.Text("keys", http.StatusOK, "application/json", `{"keys":[]}`), "no signing key", ".well-known"},
		{"keys fail", cognitotest.JWKS, cognitotest.Text("keys", http.StatusBadGateway, "text/html", cognitotest.Canary), "loading the provider's keys", "provider's status"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := newPool(t)
			pool.Break(tt.endpoint, tt.outage, 0)
			r := setup{issuer: pool.Issuer()}.examine(t)
			want(t, r, doctor.AreaProvider, doctor.Fault, tt.what, tt.cure)
			for _, f := range r.Findings {
				if strings.Contains(f.What, cognitotest.Canary) {
					t.Errorf("text of the provider: %s", f.What)
				}
			}
		})
	}
}

func TestProviderThatHangs(t *testing.T) {
	pool := newPool(t)
	pool.Break(cognitotest.Discovery, cognitotest.Hang(), 0)
	r := setup{issuer: pool.Issuer(), call: 200 * time.Millisecond}.examine(t)
	want(t, r, doctor.AreaProvider, doctor.Fault, "did not answer in time (timeout)", "proxies and firewalls")
}

func TestProviderThatIsNotReached(t *testing.T) {
	ok := http.NotFoundHandler()
	year := time.Now().AddDate(1, 0, 0)
	for _, tt := range []struct{ name, issuer, what, cure string }{
		{"refused", "http://" + free(t), "nothing listens there (refused)", "Start the server"},
		{"name", "https://no-such-host.invalid", "the name is not resolved (dns)", "spelling"},
		{"authority", "https://localhost:" + secureServer(t, issue(issue(nil, "other", year), "localhost", year), ok), "(tls_unknown_authority)", "SSL_CERT_FILE"},
		{"expired", "https://localhost:" + secureServer(t, issue(authority, "localhost", time.Now().Add(-time.Hour)), ok), "(tls_expired)", "Renew"},
		{"wrong name", "https://localhost:" + secureServer(t, issue(authority, "other.example", year), ok), "(tls_name)", "a name that the certificate has"},
		{"no TLS", "https://" + accept(t, func(conn net.Conn) { _, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }), "(tls_other)", "speaks TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := setup{issuer: tt.issuer + "/us-east-1_TestPool"}.examine(t)
			want(t, r, doctor.AreaProvider, doctor.Fault, tt.what, tt.cure)
			wantNone(t, r, doctor.Good, doctor.AreaProvider, doctor.AreaClient)
		})
	}
	t.Run("soon", func(t *testing.T) {
		soon := issue(authority, "localhost", time.Now().AddDate(0, 0, 3))
		r := setup{issuer: "https://localhost:" + secureServer(t, soon, ok) + "/us-east-1_TestPool"}.examine(t)
		want(t, r, doctor.AreaProvider, doctor.Warning, "its certificate ends on ", "Renew")
	})
}

// TestClockBehindACache: the Date of a cached answer is as old as its Age says.
func TestClockBehindACache(t *testing.T) {
	for age, want := range map[string]string{"7200": "good", "0": "fault", "": "fault", "x": "none", "-1": "none", "99999999999999999999": "none"} {
		if got := doctor.ClockWithAge(time.Now().Add(-2*time.Hour), age); got != want {
			t.Errorf("Age %q: %s, want %s", age, got, want)
		}
	}
}

func TestClocks(t *testing.T) {
	pool := newPool(t)
	for _, tt := range []struct {
		off   time.Duration
		level doctor.Level
		what  string
	}{
		{0, doctor.Good, "differ by at most"},
		{25 * time.Second, doctor.Good, "differ by at most 2"},
		{45 * time.Second, doctor.Warning, "s ahead of the provider's"},
		{-45 * time.Second, doctor.Warning, "s behind the provider's"},
		{2 * time.Hour, doctor.Fault, "Tokens are refused"},
	} {
		r := setup{issuer: pool.Issuer(), now: func() time.Time { return time.Now().Add(tt.off) }}.examine(t)
		want(t, r, doctor.AreaProvider, tt.level, tt.what, "")
	}
}

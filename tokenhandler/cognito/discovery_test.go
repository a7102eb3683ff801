package cognito_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

func described(name string, value any) cognitotest.Outage {
	return cognitotest.EditJSON(name, func(body map[string]any) {
		body[name] = value
		if value == nil {
			delete(body, name)
		}
	})
}

func TestDiscoveryIsRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		outage cognitotest.Outage
		want   string // in the error
	}{
		{conformance + "discovery-issuer-mismatch", described("issuer", "https://evil.example.com/pool"), `names the issuer "https://evil.example.com/pool", and provider.issuer is another: "http://127.0.0.1:`},
		{"a slash more in the issuer", cognitotest.EditJSON("slash", func(body map[string]any) {
			issuer, _ := body["issuer"].(string)
			body["issuer"] = issuer + "/"
		}), `_TestPool/", and provider.issuer is another: "http`},
		{"no issuer", described("issuer", nil), `names the issuer "", and`},
		{"no token endpoint", described("token_endpoint", nil), "no token_endpoint; does the pool have a domain?"},
		{"no authorization endpoint", described("authorization_endpoint", ""), "no authorization_endpoint; does the pool have a domain?"},
		{"no keys", described("jwks_uri", nil), "no jwks_uri"},
		{"relative token endpoint", described("token_endpoint", "/oauth2/token"), "token_endpoint is no https URL"},
		{"no host", described("token_endpoint", "https:///oauth2/token"), "token_endpoint is no https URL"},
		{"script", described("authorization_endpoint", "javascript:alert(1)"), "authorization_endpoint is no https URL"},
		{"file", described("jwks_uri", "file:///etc/passwd"), "jwks_uri is no https URL"},
		{"bad logout", described("end_session_endpoint", "javascript://h/%0aalert(1)"), "end_session_endpoint is no https URL"},
		{"bad revocation", described("revocation_endpoint", "://"+cognitotest.Canary), "revocation_endpoint is no https URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParty(t, cognitotest.Options{})
			p.pool.Break(cognitotest.Discovery, c.outage, 1)
			err := p.Connect(t.Context())
			p.wantKind(err, provider.ErrMisconfigured)
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q does not say %q", err, c.want)
			}
			if p.Ready() == nil {
				t.Error("ready")
			}
			if err := p.Connect(t.Context()); err != nil {
				t.Errorf("it does not heal: %v", err)
			}
		})
	}
}

func TestDiscoveryEndpointsMustBeAsSafeAsTheIssuer(t *testing.T) {
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint", "end_session_endpoint", "userinfo_endpoint"} {
		t.Run(name, func(t *testing.T) {
			fields := map[string]string{
				"authorization_endpoint": "https://auth.example.com/oauth2/authorize", "token_endpoint": "https://auth.example.com/oauth2/token",
				"jwks_uri": "https://keys.example.com/jwks.json", "issuer": "https://idp.example.com/pool",
			}
			document := func() []byte {
				var parts []string
				for k, v := range fields {
					parts = append(parts, `"`+k+`":"`+v+`"`)
				}
				return []byte("{" + strings.Join(parts, ",") + "}")
			}
			if _, err := cognito.CheckDocument(cognito.Endpoints{}, document(), "https://idp.example.com/pool"); err != nil {
				t.Fatal(err)
			}
			fields[name] = "http://auth.example.com/x"
			if _, err := cognito.CheckDocument(cognito.Endpoints{}, document(), "https://idp.example.com/pool"); err == nil {
				t.Error("http was accepted from an https issuer")
			}
		})
	}
}

// The document is on another host than the endpoints (README "Hosts and discovery").
func TestEndpointsOnAnotherHostThanTheIssuer(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	p.pool.Break(cognitotest.Discovery, cognitotest.EditJSON("hosts", func(body map[string]any) {
		body["authorization_endpoint"] = "https://auth.example.com/oauth2/authorize"
		body["end_session_endpoint"] = "https://elsewhere.example.com/logout"
	}), 0)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := p.LogoutURL("https://app.example.com/", secret.String{}), "https://auth.example.com/logout?"; !strings.HasPrefix(got, want) {
		t.Errorf("%s, want %s…", got, want)
	}
}

func TestOverridesNeedNoDiscovery(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	cfg := p.cfg
	cfg.Endpoints = cognito.Endpoints{
		Authorization: p.pool.URL + "/oauth2/authorize", Token: p.pool.URL + "/oauth2/token",
		JWKS: p.pool.Issuer() + "/.well-known/jwks.json",
	}
	p.Provider = cognito.New(cfg)
	if err := p.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	tokens := p.mustLogin()
	if n := p.pool.Count(cognitotest.Discovery); n != 0 {
		t.Errorf("%d discoveries, want 0", n)
	}
	if got, want := p.LogoutURL("https://app.example.com/", secret.String{}), p.pool.URL+"/logout?"; !strings.HasPrefix(got, want) {
		t.Errorf("logout is at %q, want %s…", got, want)
	}
	if err := p.Revoke(t.Context(), tokens.Refresh); !errors.Is(err, provider.ErrUnsupported) || p.pool.Count(cognitotest.Revoke) != 0 {
		t.Errorf("revoking without an endpoint: %v", err)
	}
}

func TestOneOverrideLeavesTheOthersToDiscovery(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) {
		cfg.Endpoints.Logout, cfg.Endpoints.Revocation = "https://sso.example.com/out?tenant=1", "https://sso.example.com/revoke"
	})
	p.mustLogin()
	if got, want := p.LogoutURL("https://app.example.com/", secret.String{}), "https://sso.example.com/out?"; !strings.HasPrefix(got, want) || !strings.Contains(got, "tenant=1") {
		t.Errorf("logout is at %q", got)
	}
}

// TestEveryMissingEndpointIsDiscovered: one of the three that a login needs is enough to fetch
// the document.
func TestEveryMissingEndpointIsDiscovered(t *testing.T) {
	for name, leave := range map[string]func(*cognito.Endpoints){
		"authorization": func(e *cognito.Endpoints) { e.Authorization = "" },
		"token":         func(e *cognito.Endpoints) { e.Token = "" },
		"keys":          func(e *cognito.Endpoints) { e.JWKS = "" },
	} {
		p := newParty(t, cognitotest.Options{})
		select {
		case <-p.Tried():
			t.Errorf("%s: tried already", name)
		default:
		}
		cfg := p.cfg
		cfg.Endpoints = cognito.Endpoints{
			Authorization: p.pool.URL + "/oauth2/authorize", Token: p.pool.URL + "/oauth2/token", JWKS: p.pool.Issuer() + "/.well-known/jwks.json",
		}
		leave(&cfg.Endpoints)
		p.Provider = cognito.New(cfg)
		for range 2 { // it does nothing the second time
			if err := p.Connect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		<-p.Tried()
		p.mustLogin()
		if n := p.pool.Count(cognitotest.Discovery); n != 1 {
			t.Errorf("%s: %d discoveries, want 1", name, n)
		}
	}
}

// TestEndpointsOfADomain: those that are configured count more, and another provider has no
// such domain.
func TestEndpointsOfADomain(t *testing.T) {
	const domain, own = "https://auth.example.com", "https://own.example.com"
	for name, c := range map[string]struct {
		edit func(*cognito.Config)
		want string // of the authorization endpoint
	}{
		"Cognito":            {func(*cognito.Config) {}, domain + "/oauth2/authorize?"},
		"own endpoint":       {func(cfg *cognito.Config) { cfg.Endpoints.Authorization = own + "/authorize" }, own + "/authorize?"},
		"another provider":   {openID, "http://"},
		"another one's page": {func(cfg *cognito.Config) { cfg.Profile, cfg.Endpoints.Authorization = cognito.OIDC, own }, own + "?"},
	} {
		p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Domain = domain }, c.edit)
		target, err := p.AuthorizeURL(provider.AuthRequest{State: "s", Nonce: "n", Verifier: "v"})
		if err != nil || !strings.HasPrefix(target, c.want) {
			t.Errorf("%s: %s, %v", name, target, err)
		}
	}
}

func TestDomainBuildsTheEndpoints(t *testing.T) {
	for _, domain := range []string{"https://auth.example.com", "https://auth.example.com/"} {
		p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Domain = domain })
		target, err := p.AuthorizeURL(provider.AuthRequest{Page: provider.PageLogin, State: "s", Nonce: "n", Verifier: "v"})
		if err != nil || !strings.HasPrefix(target, "https://auth.example.com/oauth2/authorize?") {
			t.Errorf("authorize is at %q: %v", target, err)
		}
		if got := p.LogoutURL("https://app.example.com/", secret.String{}); !strings.HasPrefix(got, "https://auth.example.com/logout?") {
			t.Errorf("logout is at %q", got)
		}
	}
	// With provider.domain, a document without endpoints is accepted.
	p := newParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Domain = "https://auth.example.com" })
	p.pool.Break(cognitotest.Discovery, cognitotest.EditJSON("no domain", func(body map[string]any) {
		delete(body, "token_endpoint")
		delete(body, "authorization_endpoint")
	}), 0)
	if err := p.Connect(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConnectOutages(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{cognitotest.Discovery, cognitotest.JWKS} {
		for _, o := range cognitotest.Outages {
			t.Run(endpoint+" "+o.Name, func(t *testing.T) {
				t.Parallel()
				during(t, o, func(t *testing.T, p *party) {
					p.pool.Break(endpoint, o, 0)
					want := kinds[o.Name]
					if o.Name == "json-null" && endpoint == cognitotest.Discovery {
						want = provider.ErrMisconfigured // it names no issuer
					}
					p.wantKind(p.Connect(t.Context()), want)
					if p.pool.Count(cognitotest.Elsewhere) != 0 {
						t.Error("a redirect was followed")
					}
					p.wantNotConnected(t.Context())
					p.pool.Mend(endpoint)
					if err := p.Connect(t.Context()); err != nil {
						t.Errorf("it does not heal: %v", err)
					}
					if err := p.Ready(); err != nil {
						t.Errorf("not ready: %v", err)
					}
					p.mustLogin()
				})
			})
		}
	}
}

// wantNotConnected checks that everything fails with ErrUnavailable.
func (p *party) wantNotConnected(ctx context.Context) {
	p.t.Helper()
	if err := p.Ready(); err == nil { // it names why the provider was not reached last
		p.t.Error("it is ready")
	}
	_, err := p.AuthorizeURL(provider.AuthRequest{Page: provider.PageLogin, State: "s", Nonce: "n", Verifier: "v"})
	p.wantKind(err, provider.ErrUnavailable)
	_, err = p.Exchange(ctx, provider.CodeGrant{Code: "c", Verifier: "v", Nonce: "n"})
	p.wantKind(err, provider.ErrUnavailable)
	_, err = p.Refresh(ctx, secret.Tokens{Refresh: secret.New("r"), Subject: "s"})
	p.wantKind(err, provider.ErrUnavailable)
	p.wantKind(p.Revoke(ctx, secret.New("r")), provider.ErrUnavailable)
	if got := p.LogoutURL("https://app.example.com/", secret.String{}); got != "" {
		p.t.Errorf("logout at %q", got)
	}
}

func TestRunHealsWhenTheProviderDoes(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	p.pool.Break(cognitotest.Discovery, cognitotest.Reset(), 0)
	var pauses []time.Duration
	p.SetSleep(func(ctx context.Context, d time.Duration) error {
		p.wantNotConnected(ctx)
		if pauses = append(pauses, d); len(pauses) == 7 {
			p.pool.Mend(cognitotest.Discovery)
		}
		return nil
	})
	p.Run(t.Context())
	const ms = time.Millisecond
	if want := []time.Duration{250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 5000 * ms, 5000 * ms}; !slices.Equal(pauses, want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
	if err := p.Ready(); err != nil {
		t.Error(err)
	}
	p.mustLogin()
	p.Run(t.Context()) // returns at once
	if n := p.pool.Count(cognitotest.Discovery); n != 8 {
		t.Errorf("%d discoveries, want 8", n)
	}
	p.wantNoLeak(nil)
}

// TestRunOfAWrongIssuer checks that the log names both issuers as an error, and that the
// provider is then asked rarely.
func TestRunOfAWrongIssuer(t *testing.T) {
	p := newParty(t, cognitotest.Options{}, openID, func(cfg *cognito.Config) { cfg.Issuer += "/" })
	ctx, cancel := context.WithCancel(t.Context())
	var pauses []time.Duration
	p.SetSleep(func(_ context.Context, d time.Duration) error {
		if pauses = append(pauses, d); len(pauses) == 3 {
			cancel()
			return context.Canceled
		}
		return nil
	})
	p.Run(ctx)
	if want := []time.Duration{5 * time.Minute, 5 * time.Minute, 5 * time.Minute}; !slices.Equal(pauses, want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
	records := p.log.RecordsOf(t, "provider cannot be used as it is configured")
	if len(records) != 3 || records[0]["level"] != "ERROR" {
		t.Fatalf("the log says %v", records)
	}
	text, _ := records[0]["error"].(string)
	for _, issuer := range []string{`"` + p.pool.Issuer() + `"`, `"` + p.pool.Issuer() + `/"`} {
		if !strings.Contains(text, issuer) {
			t.Errorf("%s does not name %s", text, issuer)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	p.pool.Break(cognitotest.Discovery, cognitotest.Reset(), 0)
	ctx, cancel := context.WithCancel(t.Context())
	p.SetSleep(func(ctx context.Context, d time.Duration) error {
		cancel()
		return cognito.Sleep(ctx, d)
	})
	p.Run(ctx)
	if n := p.pool.Count(cognitotest.Discovery); n != 1 {
		t.Errorf("%d discoveries, want 1", n)
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := cognito.Sleep(t.Context(), time.Hour); err != nil || time.Since(start) != time.Hour {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := cognito.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// Concurrent calls end with one connection.
func TestConnectAtTheSameTime(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	failed := make(chan error)
	for range 8 {
		go func() { failed <- p.Connect(t.Context()) }()
	}
	for range 8 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	p.mustLogin()
}

func mustParse(tb testing.TB, s string) *url.URL {
	tb.Helper()
	u, err := url.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

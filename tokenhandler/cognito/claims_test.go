package cognito_test

import (
	"encoding/json"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

func TestClaimsThatASessionShows(t *testing.T) {
	oidc := func(cfg *cognito.Config) { cfg.Profile = cognito.OIDC }
	none := func(*cognito.Config) {}
	for _, c := range []struct {
		name   string
		edit   func(*cognito.Config)
		names  []string
		claims map[string]any
		want   string
	}{
		{"Cognito's names", none, []string{"username", "groups"}, map[string]any{"cognito:username": "u", "cognito:groups": []string{"a"}, "preferred_username": "p", "groups": "g"}, `{"username":"u","groups":["a"]}`},
		{"OIDC's names", oidc, []string{"username", "groups"}, map[string]any{"cognito:username": "u", "cognito:groups": []string{"a"}, "preferred_username": "p", "groups": "g"}, `{"username":"p","groups":"g"}`},
		{"in the order of the configuration", none, []string{"name", "email"}, nil, `{"name":"Demo User","email":"demo@example.com"}`},
		{"booleans as text", none, []string{"email_verified", "phone_number_verified"}, map[string]any{"email_verified": "true", "phone_number_verified": "false"}, `{"email_verified":true,"phone_number_verified":false}`},
		{"booleans", none, []string{"email_verified"}, map[string]any{"email_verified": false}, `{"email_verified":false}`},
		{"other text stays", none, []string{"email_verified", "name"}, map[string]any{"email_verified": "yes", "name": "true"}, `{"email_verified":"yes","name":"true"}`},
		{"absent and null", none, []string{"name", "custom:tenant", "email"}, map[string]any{"name": nil}, `{"email":"demo@example.com"}`},
		{"the provider's own", none, []string{"custom:tenant"}, map[string]any{"custom:tenant": `a"b<c>`}, `{"custom:tenant":"a\"b<c>"}`},
		{"an object", none, []string{"address"}, map[string]any{"address": map[string]any{"country": "PT"}}, `{"address":{"country":"PT"}}`},
		{"a name that must be quoted", none, []string{`a"b`}, map[string]any{`a"b`: 1}, `{"a\"b":1}`},
		{"none", none, nil, nil, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{}, c.edit, func(cfg *cognito.Config) { cfg.Claims = c.names })
			p.pool.EditIDToken(func(token *cognitotest.Token) {
				maps.Copy(token.Claims, c.claims)
			})
			got, want := p.mustLogin().Claims, c.want
			if !json.Valid([]byte(got)) || compact(t, got) != compact(t, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// compact removes spaces from JSON and keeps the order.
func compact(tb testing.TB, s string) string {
	tb.Helper()
	var fields json.RawMessage
	if err := json.Unmarshal([]byte(s), &fields); err != nil {
		tb.Fatal(err)
	}
	out, err := json.Marshal(fields)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

func TestRefreshShowsTheGroupsOfToday(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Claims = []string{"groups"} })
	tokens := p.mustLogin()
	user := p.pool.User("demo")
	user.Groups = []string{"admins"}
	p.pool.AddUser(user)
	if got, want := p.mustRefresh(tokens).Claims, `{"groups":["admins"]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// To a plain OpenID client an access token is opaque (RFC 6749 §1.4).
func TestOIDCProfileDoesNotLookIntoAccessTokens(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Profile = cognito.OIDC })
	p.pool.Break(cognitotest.TokenAny, cognitotest.EditJSON("opaque", func(body map[string]any) {
		body["access_token"], body["expires_in"] = "opaque", 600
	}), 0)
	p.pool.EditIDToken(func(token *cognitotest.Token) {
		delete(token.Claims, "at_hash")
		delete(token.Claims, "token_use")
		token.Claims["azp"] = cognitotest.DefaultClientID
	})
	tokens := p.mustRefresh(p.mustLogin())
	if got := tokens.AccessExpires.Sub(p.clock.Now()); got != 10*time.Minute {
		t.Errorf("the access token lives for %s, want 10m", got)
	}

	for name, lifetime := range map[string]any{"absent": nil, "negative": -1, "zero": 0} {
		p.pool.Break(cognitotest.TokenAny, cognitotest.EditJSON(name, func(body map[string]any) {
			body["access_token"], body["expires_in"] = "opaque", lifetime
		}), 0)
		tokens = p.mustRefresh(tokens)
		if got := tokens.AccessExpires.Sub(p.clock.Now()); got != 5*time.Minute {
			t.Errorf("%s: the access token lives for %s, want 5m", name, got)
		}
	}
}

func TestOIDCProfileRefusesFaultyIDTokens(t *testing.T) {
	for _, fault := range enough(t, cognitotest.IDTokenFaults, 28) {
		t.Run(conformance+fault.Name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Profile = cognito.OIDC })
			fault.Apply(p.pool)
			_, err := p.login()
			cognitoOnly := fault.Name == "invalid-token-use" || fault.Name == "missing-token-use"
			if cognitoOnly || fault.MayAccept {
				return
			}
			p.wantKind(err, provider.ErrInvalidResponse)
		})
	}
}

func TestClaimsOfUnexpectedTypes(t *testing.T) {
	for name, edit := range map[string]func(map[string]any){
		"iat is text":            func(c map[string]any) { c["iat"] = "yesterday" },
		"iat is null":            func(c map[string]any) { c["iat"] = nil },
		"auth_time is text":      func(c map[string]any) { c["auth_time"] = "yesterday" },
		"auth_time is enormous":  func(c map[string]any) { c["auth_time"] = 1e300 },
		"auth_time wraps":        func(c map[string]any) { c["auth_time"] = int64(math.MaxInt64) },
		"auth_time wraps back":   func(c map[string]any) { c["auth_time"] = int64(math.MinInt64) },
		"iat wraps":              func(c map[string]any) { c["iat"] = int64(math.MaxInt64) },
		"iat wraps back":         func(c map[string]any) { c["iat"] = int64(math.MinInt64) },
		"exp wraps":              func(c map[string]any) { c["exp"] = int64(math.MaxInt64) },
		"exp is null":            func(c map[string]any) { c["exp"] = nil },
		"token_use is a list":    func(c map[string]any) { c["token_use"] = []string{"id"} },
		"aud is a list of lists": func(c map[string]any) { c["aud"] = []any{[]any{c["aud"]}} },
		"aud is an empty list":   func(c map[string]any) { c["aud"] = []any{} },
		"aud twice":              func(c map[string]any) { c["aud"] = []any{c["aud"], c["aud"]} },
		"iss is a list":          func(c map[string]any) { c["iss"] = []any{c["iss"]} },
		"sub is a number":        func(c map[string]any) { c["sub"] = 42 },
		"distributed claims":     func(c map[string]any) { c["_claim_names"] = map[string]any{"groups": "nowhere"} },
	} {
		t.Run(name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{})
			p.pool.EditIDToken(func(token *cognitotest.Token) { edit(token.Claims) })
			_, err := p.login()
			p.wantKind(err, provider.ErrInvalidResponse)
		})
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	p := connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Metrics = cognito.NewMetrics(registry) })
	tokens := p.mustLogin()
	if err := p.Revoke(t.Context(), secret.New("another-refresh-token")); err != nil {
		t.Fatal(err)
	}
	for _, o := range cognitotest.Outages {
		if !o.Hangs { // the rate limited one is tried again, and then it works
			p.pool.Break(cognitotest.TokenAny, o, 1)
			_, _ = p.Refresh(t.Context(), tokens)
		}
	}
	want := map[string]float64{
		"discovery ok": 1, "jwks ok": 1, "revocation ok": 1,
		"token ok": 7, "token refused": 2, "token rate_limited": 1, "token server_error": 4, "token unreachable": 3,
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := m.GetLabel()
			notCalled := len(labels) == 1 && (labels[0].GetValue() == "userinfo" || labels[0].GetValue() == "global_sign_out")
			if family.GetName() == "tokenhandler_provider_requests_total" {
				got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			} else if m.GetHistogram() != nil && m.GetHistogram().GetSampleCount() == 0 && !notCalled {
				t.Errorf("%s has no samples", family.GetName())
			}
		}
	}
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s: %v, want %v", k, got[k], n)
		}
		delete(got, k)
	}
	for k, n := range got {
		if n != 0 {
			t.Errorf("%s: %v, not expected", k, n)
		}
	}
	if all := len(got) + len(want); all != 6*5 {
		t.Errorf("%d series exist, want one for each endpoint and outcome", all)
	}
}

func TestErrorCode(t *testing.T) {
	for code, want := range map[string]string{"invalid_grant": "invalid_grant", "login_required": "login_required", "": "other", "Invalid_Grant": "other", "x\ny": "other"} {
		if got := cognito.ErrorCode(code); got != want {
			t.Errorf("%q: %s, want %s", code, got, want)
		}
	}
}

// TestMissingNonceNamesItsCure: the operator of a test provider without nonces finds the
// key in the log.
func TestMissingNonceNamesItsCure(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	p.pool.EditIDToken(func(token *cognitotest.Token) { delete(token.Claims, "nonce") })
	_, err := p.login()
	p.wantKind(err, provider.ErrInvalidResponse)
	if err == nil || !strings.Contains(err.Error(), "set provider.insecure_skip_nonce") {
		t.Errorf("the error is %v", err)
	}
}

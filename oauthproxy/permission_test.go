package oauthproxy_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"cognito-token-handler/oauthproxy"
)

// Scopes and groups are checked only where a route requires them, and a refused request
// never reaches the upstream.
func TestRouteRequiresScopesAndGroups(t *testing.T) {
	for name, c := range map[string]struct {
		scopes, groups []string
		permits        bool
		status, asked  int
	}{
		"asks for nothing": {nil, nil, false, http.StatusOK, 0},
		"has the scopes":   {[]string{"a", "b"}, nil, true, http.StatusOK, 1},
		"lacks a scope":    {[]string{"a", "b"}, nil, false, http.StatusForbidden, 1},
		"in a group":       {nil, []string{"g"}, true, http.StatusOK, 1},
		"in no group":      {nil, []string{"g"}, false, http.StatusForbidden, 1},
		"both":             {[]string{"a"}, []string{"g"}, true, http.StatusOK, 1},
	} {
		t.Run(name, func(t *testing.T) {
			up := newUpstream(t, nil)
			route := api(t, up.URL)
			route.Scopes, route.Groups = c.scopes, c.groups
			p := newProxy(t, route)
			asked := 0
			p.tokens.permits = func(token string, scopes, groups []string) bool {
				asked++
				if token != accessToken || !slices.Equal(scopes, c.scopes) || !slices.Equal(groups, c.groups) {
					t.Errorf("asked for %v %v of %s", scopes, groups, token)
				}
				return c.permits
			}
			got := p.do(t, p.request(t, http.MethodGet, "/api/x", nil))
			if got.StatusCode != c.status || asked != c.asked {
				t.Errorf("%d, asked %d times", got.StatusCode, asked)
			}
			wantCookie(t, got) // also when the request is refused
			if c.status != http.StatusOK {
				wantProblem(t, got, c.status, "insufficient_scope")
				if len(up.requests()) != 0 {
					t.Error("the upstream saw the request")
				}
			}
		})
	}
}

// The token that replaces a refused one is checked as well: the user may have lost a
// group in the meantime.
func TestRenewedTokenIsChecked(t *testing.T) {
	up := refusingUpstream(t)
	route := api(t, up.URL)
	route.Groups = []string{"g"}
	p := newProxy(t, route)
	var renewals atomic.Int32
	p.tokens.renew = renewing(&renewals)
	p.tokens.permits = func(token string, _, _ []string) bool { return token != "renewed" }
	got := p.do(t, p.request(t, http.MethodGet, "/api/x", nil))
	if got.StatusCode != http.StatusUnauthorized || !slices.Equal(up.tokens(), []string{"Bearer " + accessToken}) || renewals.Load() != 1 {
		t.Errorf("%d, the upstream saw %q", got.StatusCode, up.tokens())
	}
}

var _ oauthproxy.TokenSource = (*tokens)(nil)

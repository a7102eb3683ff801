package cognitotest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
)

func TestMaxRPS(t *testing.T) {
	p := newParty(t, cognitotest.Options{MaxRPS: 3})
	revoke := func() answer {
		return postForm(t, p.srv.URL+"/oauth2/revoke", url.Values{"token": {"x"}}, p.srv.ClientID(), p.srv.Secret())
	}
	for range 3 {
		if res := revoke(); res.status != http.StatusOK {
			t.Fatalf("%d: %s", res.status, res.body)
		}
	}
	if res := revoke(); res.status != http.StatusTooManyRequests || !strings.HasPrefix(res.body, "Rate exceeded") {
		t.Errorf("%d: %s", res.status, res.body)
	}
	if n := p.srv.Count(cognitotest.Revoke + ".limited"); n != 1 {
		t.Errorf("%d limited", n)
	}
	if res := get(t, p.srv.Issuer()+"/.well-known/jwks.json"); res.status != http.StatusOK {
		t.Errorf("keys: %d", res.status)
	}
	p.clock.Advance(time.Second)
	if res := revoke(); res.status != http.StatusOK {
		t.Errorf("a second later: %d", res.status)
	}
}

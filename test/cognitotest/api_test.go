package cognitotest_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitotest"
)

// callAPI calls Cognito's API as the SDKs do.
func callAPI(t *testing.T, p *party, target, body string) (status int, errorType string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.srv.URL+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSCognitoIdentityProviderService."+target)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode, res.Header.Get("X-Amzn-Errortype")
}

func TestGlobalSignOut(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	plain := p.mustLogin()
	p.oauth.Scopes = append(p.oauth.Scopes, "aws.cognito.signin.user.admin")
	admin := p.mustLogin()
	for _, c := range []struct{ name, target, body, want string }{
		{"another operation", "ListUsers", "{}", "UnknownOperationException:"},
		{"no JSON", "GlobalSignOut", "<", "SerializationException:"},
		{"no token", "GlobalSignOut", "{}", "InvalidParameterException:"},
		{"no token of the pool", "GlobalSignOut", `{"AccessToken":"a.b.c"}`, "NotAuthorizedException:"},
		{"no scope", "GlobalSignOut", `{"AccessToken":"` + plain.AccessToken + `"}`, "NotAuthorizedException:"},
		{"good", "GlobalSignOut", `{"AccessToken":"` + admin.AccessToken + `"}`, ""},
		{"again", "GlobalSignOut", `{"AccessToken":"` + admin.AccessToken + `"}`, "NotAuthorizedException:"},
	} {
		if c.name == "good" && p.srv.Living("demo") != 2 {
			t.Errorf("%d logins are valid", p.srv.Living("demo"))
		}
		if status, got := callAPI(t, p, c.target, c.body); got != c.want || (status == http.StatusOK) != (c.want == "") {
			t.Errorf("%s: %d %q, want %q", c.name, status, got, c.want)
		}
	}
	if p.srv.Living("demo") != 0 || !p.srv.Revoked(plain.RefreshToken) || !p.srv.Revoked(admin.RefreshToken) {
		t.Error("a login is still valid")
	}
	if _, err := p.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(plain)); err == nil {
		t.Error("userInfo takes the token of a user who was signed out")
	}
}

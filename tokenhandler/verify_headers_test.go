package tokenhandler_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// TestVerifyHeadersCannotBeForged checks names that users and administrators choose:
// what reads the headers splits them at commas.
func TestVerifyHeadersCannotBeForged(t *testing.T) {
	for name, c := range map[string]struct {
		groups  string
		subject string
		want    [2]string // subject, groups
	}{
		"plain":     {`["readers","a.b-c_d:e@f"]`, "auth0|123", [2]string{"auth0|123", "readers,a.b-c_d:e@f"}},
		"none":      {`[]`, "u", [2]string{"u", ""}},
		"commas":    {`["users,admins","readers"]`, "a,b", [2]string{"a,b", "readers"}},
		"quotes":    {`["\"admins\"","x\\","y;q=1","readers"]`, "u", [2]string{"u", "readers"}},
		"spaces":    {`[" admins","admins ","a b","","readers"]`, "u", [2]string{"u", "readers"}},
		"controls":  {`["a\r\nX-Auth-Subject: root","b\u0000","c\u007f","readers"]`, "u", [2]string{"u", "readers"}},
		"unicode":   {`["Verwaltung-Köln","管理","readers"]`, "u", [2]string{"u", "readers"}},
		"no groups": {`null`, strings.Repeat("s", 255), [2]string{strings.Repeat("s", 255), ""}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, gated(cognitotest.Options{}))
			a.provider.exchanged = func(tokens secret.Tokens) secret.Tokens {
				tokens.Access, tokens.Subject = token(`{"cognito:groups":`+c.groups+`}`), c.subject
				return tokens
			}
			res := a.verify("", asked(a.login()))
			if got := [2]string{res.Header.Get("X-Auth-Subject"), res.Header.Get("X-Auth-Groups")}; res.Status != http.StatusNoContent || got != c.want {
				t.Errorf("%d %q, want %q", res.Status, got, c.want)
			}
			// Without the header, a gateway could forward the client's.
			if res.Header["X-Auth-Subject"] == nil || res.Header["X-Auth-Groups"] == nil {
				t.Errorf("a header is missing: %v", res.Header)
			}
		})
	}
}

// TestVerifyRefusesSubjectsThatFitNoHeader: with an empty header instead, all such users
// would be the same one behind the gateway.
func TestVerifyRefusesSubjectsThatFitNoHeader(t *testing.T) {
	for _, sub := range []string{"", "josé", "u v", " u", "u\r\nX-Admin: 1", "u\x00", "u\x7f", strings.Repeat("s", 256)} {
		a := newApp(t, gated(cognitotest.Options{}))
		a.provider.exchanged = func(tokens secret.Tokens) secret.Tokens {
			tokens.Subject = sub
			return tokens
		}
		ua := a.login()
		for _, path := range []string{"/auth/verify", "/auth/verify/envoy"} {
			res := a.send(t.Context(), http.MethodGet, path, asked(ua))
			a.wantBare(res)
			if res.Status != http.StatusForbidden || res.Header["Authorization"] != nil || res.Header["X-Auth-Subject"] != nil {
				t.Errorf("sub %q at %s: %d %v", sub, path, res.Status, res.Header)
			}
		}
		if n := a.metric("tokenhandler_verifications_total", "insufficient_scope"); n != 2 {
			t.Errorf("sub %q: counted %v times", sub, n)
		}
	}
}

// TestVerifyHeadSize checks the largest answer against the buffers that the examples
// configure. A token and its session's cookie do not fit into nginx's 4 KB.
func TestVerifyHeadSize(t *testing.T) {
	s := gated(cognitotest.Options{IDTokenSize: 1517, AccessTokenSize: 1175, RefreshTokenSize: 1580, Rotation: true, AccessTTL: 10 * time.Minute})
	s.session = func(c *session.Config) { c.KeepIDToken = true }
	a := newApp(t, s)
	ua := a.login()
	a.clock.Advance(11 * time.Minute)
	res := a.verify("", asked(ua))
	size := hstsBytes
	for name, values := range res.Header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	t.Logf("%d bytes", size)
	if size > 8<<10 || len(res.Header["Set-Cookie"]) != 2 {
		t.Errorf("the head has %d bytes", size)
	}
}

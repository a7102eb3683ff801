package tokenhandler_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// token returns a JWT with this payload.
func token(payload string) secret.String {
	return secret.New("eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2lnbmF0dXJl")
}

// granted returns the grant of a session with this access token.
func granted(t *testing.T, claim string, access secret.String) tokenhandler.Grant {
	t.Helper()
	a := newApp(t, settings{handler: func(c *tokenhandler.Config) { c.GroupsClaim = claim }})
	a.provider.exchanged = func(tokens secret.Tokens) secret.Tokens {
		tokens.Access = access
		return tokens
	}
	grant, err := a.Authorize(a.request(a.login()), 0)
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

func TestPermits(t *testing.T) {
	var hundred []string
	for i := range 100 {
		hundred = append(hundred, fmt.Sprintf("group-%02d", i))
	}
	many, err := json.Marshal(hundred)
	if err != nil {
		t.Fatal(err)
	}
	const cognito = "cognito:groups"
	for name, c := range map[string]struct {
		claims         string
		claim          string
		scopes, groups []string
		want           bool
	}{
		"asks for nothing":          {`{}`, cognito, nil, nil, true},
		"one scope":                 {`{"scope":"openid"}`, cognito, []string{"openid"}, nil, true},
		"all scopes":                {`{"scope":"openid notes/read email"}`, cognito, []string{"email", "notes/read"}, nil, true},
		"one scope missing":         {`{"scope":"openid notes/read"}`, cognito, []string{"notes/read", "notes/write"}, nil, false},
		"a scope's head":            {`{"scope":"notes/readonly"}`, cognito, []string{"notes/read"}, nil, false},
		"a scope's case":            {`{"scope":"Notes"}`, cognito, []string{"notes"}, nil, false},
		"no scope claim":            {`{}`, cognito, []string{"openid"}, nil, false},
		"empty scope claim":         {`{"scope":""}`, cognito, []string{"openid"}, nil, false},
		"null":                      {`{"scope":null,"cognito:groups":null}`, cognito, []string{"openid"}, []string{"a"}, false},
		"scopes as an array":        {`{"scope":["openid","notes"]}`, cognito, []string{"notes", "openid"}, nil, true},
		"an array's item is one":    {`{"scope":["openid notes"]}`, cognito, []string{"notes"}, nil, false},
		"an array with more":        {`{"scope":["openid",7]}`, cognito, []string{"openid"}, nil, false},
		"a number":                  {`{"scope":7}`, cognito, []string{"7"}, nil, false},
		"an object":                 {`{"scope":{"openid":true}}`, cognito, []string{"openid"}, nil, false},
		"claims are case-sensitive": {`{"Scope":"openid","Cognito:groups":["a"]}`, cognito, []string{"openid"}, nil, false},
		"one group":                 {`{"cognito:groups":["a","b"]}`, cognito, nil, []string{"b"}, true},
		"one of them":               {`{"cognito:groups":["b"]}`, cognito, nil, []string{"a", "b"}, true},
		"another":                   {`{"cognito:groups":["c"]}`, cognito, nil, []string{"a", "b"}, false},
		"no groups":                 {`{}`, cognito, nil, []string{"a"}, false},
		"empty groups":              {`{"cognito:groups":[]}`, cognito, nil, []string{"a"}, false},
		"another claim":             {`{"groups":["a"]}`, cognito, nil, []string{"a"}, false},
		"OpenID's claim":            {`{"groups":["a"],"cognito:groups":["b"]}`, "groups", nil, []string{"a"}, true},
		"not Cognito's":             {`{"cognito:groups":["a"]}`, "groups", nil, []string{"a"}, false},
		"a group as text":           {`{"groups":"a"}`, "groups", nil, []string{"a"}, true},
		"text is one group":         {`{"groups":"a b"}`, "groups", nil, []string{"a"}, false},
		"unicode":                   {`{"cognito:groups":["Verwaltung-K\u00f6ln","管理"]}`, cognito, nil, []string{"Verwaltung-Köln"}, true},
		"unicode, another form":     {`{"cognito:groups":["Ko\u0308ln"]}`, cognito, nil, []string{"K\u00f6ln"}, false},
		"the last of a hundred":     {`{"cognito:groups":` + string(many) + `}`, cognito, nil, []string{"group-99"}, true},
		"none of a hundred":         {`{"cognito:groups":` + string(many) + `}`, cognito, nil, []string{"group-100"}, false},
		"both":                      {`{"scope":"s","cognito:groups":["g"]}`, cognito, []string{"s"}, []string{"g"}, true},
		"scope, not group":          {`{"scope":"s","cognito:groups":["g"]}`, cognito, []string{"s"}, []string{"h"}, false},
		"group, not scope":          {`{"scope":"s","cognito:groups":["g"]}`, cognito, []string{"t"}, []string{"g"}, false},
		"of two the last":           {`{"scope":"a","scope":"b"}`, cognito, []string{"b"}, nil, true},
		"of two not the first":      {`{"scope":"a","scope":"b"}`, cognito, []string{"a"}, nil, false},
		"deeper":                    {`{"x":{"scope":"a"},"y":["scope",{"scope":"a"}]}`, cognito, []string{"a"}, nil, false},
		"as a value":                {`{"x":"scope","y":"\"scope\":\"a\",","z":"a"}`, cognito, []string{"a"}, nil, false},
		"behind braces in strings":  {`{"x":"}{][\\","scope":"a"}`, cognito, []string{"a"}, nil, true},
		"behind an object":          {`{"x":{"y":[1,{"z":"}"}]},"scope":"a"}`, cognito, []string{"a"}, nil, true},
		"with spaces":               {` { "scope" : "a" , "cognito:groups" : [ "g" , "h" ] } `, cognito, []string{"a"}, []string{"h"}, true},
		"with spaces inside":        {`{ "scope" : "a" , "cognito:groups" : [ "g" , "h" ] } `, cognito, []string{"a"}, []string{"h"}, true},
		"escapes in a value":        {`{"scope":"\u0061 b"}`, cognito, []string{"a"}, nil, true},
		"not an object":             {`["scope"]`, cognito, []string{"scope"}, nil, false},
		"not JSON":                  {`{"scope":"openid"`, cognito, []string{"openid"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := granted(t, c.claim, token(c.claims)).Permits(c.scopes, c.groups); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// TestPermitsNothingToOpaqueTokens checks that a token that cannot be parsed has no
// scopes.
func TestPermitsNothingToOpaqueTokens(t *testing.T) {
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"scope":"openid"}`))
	for name, access := range map[string]string{
		"opaque":        "3f2a9c",
		"two parts":     "e30." + payload,
		"bad encoding":  "e30." + payload + "!.c2ln",
		"with padding":  "e30." + base64.URLEncoding.EncodeToString([]byte(`{"scope":"openid" }`)) + ".c2ln",
		"empty payload": "e30..c2ln",
		"too long":      "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"scope":"openid","x":"`+strings.Repeat("a", 25<<10)+`"}`)) + ".c2ln",
	} {
		t.Run(name, func(t *testing.T) {
			grant := granted(t, "groups", secret.New(access))
			if grant.Permits([]string{"openid"}, nil) || !grant.Permits(nil, nil) {
				t.Errorf("%s", name)
			}
		})
	}
}

// renewing is a provider whose refreshes return this access token.
type renewing struct {
	access secret.String
	now    func() time.Time
}

func (r renewing) Refresh(context.Context, secret.Tokens) (secret.Tokens, error) {
	return secret.Tokens{Access: r.access, AccessExpires: r.now().Add(time.Hour)}, nil
}

// TestPermissionsChangeWithTheToken checks that remembered permissions are used only
// for the access token that they were read from.
func TestPermissionsChangeWithTheToken(t *testing.T) {
	a := newApp(t, settings{refresh: func(c *refresh.Config) {
		c.Refresher = renewing{token(`{"cognito:groups":["after"]}`), c.Now}
	}})
	a.provider.exchanged = func(tokens secret.Tokens) secret.Tokens {
		tokens.Access = token(`{"cognito:groups":["before"]}`)
		return tokens
	}
	ua := a.login()
	for _, group := range []string{"before", "before", "after", "after"} {
		grant, err := a.Authorize(a.request(ua), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"before", "after"} {
			if got := grant.Permits(nil, []string{other}); got != (other == group) {
				t.Errorf("group %s permitted: %v, want %s", other, got, group)
			}
		}
		a.clock.Advance(40 * time.Minute) // the second time, the token has ended
		ua.Fetch(http.MethodGet, "/api/orders", "")
	}
}

// BenchmarkPermits measures what a route that requires groups adds to each request,
// with a token of Cognito's usual size.
func BenchmarkPermits(b *testing.B) {
	a := newApp(b, settings{pool: cognitotest.Options{AccessTokenSize: 1175}})
	grant, err := a.Authorize(a.request(a.login()), 0)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !grant.Permits([]string{"openid"}, []string{"writers"}) {
			b.Fatal("not permitted")
		}
	}
}

// TestPermissionsInMemoryAreBounded: the memory for permissions has a limit even if all
// users are in as many groups as Cognito allows. Each of two access tokens of the same
// generation has its own permissions.
func TestPermissionsInMemoryAreBounded(t *testing.T) {
	cache := tokenhandler.NewPermissionCache("groups")
	const perUser = 100
	busy := &session.Session{ID: session.ID{15: 1}, Access: token(`{"groups":["a"]}`)}
	for i := range 3 * tokenhandler.MaxNames / perUser {
		for _, name := range []string{"a", "b"} {
			group := name + strconv.Itoa(i)
			payload := `{"groups":["` + group + `"` + strings.Repeat(`,"x"`, perUser-1) + `]}`
			s := &session.Session{ID: session.ID{byte(i), byte(i >> 8)}, Generation: 1, Access: token(payload)}
			if got := cache.Groups(s); len(got) != perUser || got[0] != group {
				t.Fatalf("%d groups, the first is %q, want %q", len(got), got[0], group)
			}
		}
		if cache.Groups(busy); !cache.Knows(busy) {
			t.Fatal("an access token in use is forgotten first")
		}
	}
	if n := cache.Names(); n > tokenhandler.MaxNames {
		t.Errorf("%d scopes and groups in memory, at most %d", n, tokenhandler.MaxNames)
	}
}

// TestTokensInMemoryAreBounded: the same for access tokens without scopes and groups.
func TestTokensInMemoryAreBounded(t *testing.T) {
	cache := tokenhandler.NewPermissionCache("groups")
	for i := range 50_000 {
		s := &session.Session{Generation: uint64(i), Access: secret.New("opaque")}
		if cache.Groups(s); !cache.Knows(s) {
			t.Fatalf("access token %d is not known", i)
		}
	}
	if n := cache.Len(); n > 20_000 {
		t.Errorf("%d access tokens in memory", n)
	}
}

package cognitotest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// With [Options.OpenID] the server is not Cognito but a standard OpenID provider. This
// file has what differs between the two.

// EndSession is the endpoint of RP-initiated logout.
const EndSession = "endsession"

// sidOf returns the sid claim for a session of the hosted pages. Cognito's tokens have
// none.
func (s *Server) sidOf(session string) string {
	if !s.opts.OpenID {
		return ""
	}
	return uuidFrom(newStream("sid " + session))
}

// endSession serves RP-initiated logout (OIDC RP-Initiated Logout §2, §3). The
// post_logout_redirect_uri must be registered, and the hint must be an ID token of this
// server, which may have expired.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Get("client_id") != s.opts.ClientID || !slices.Contains(s.logouts, q.Get("post_logout_redirect_uri")) {
		errorText(w, "post_logout_redirect_uri")
		return
	}
	if q.Has("id_token_hint") {
		if claims, err := s.keys.parse(q.Get("id_token_hint")); err != nil || claims["aud"] != s.opts.ClientID {
			errorText(w, "id_token_hint")
			return
		}
	}
	delete(s.browsers, cookieValue(r))
	http.SetCookie(w, &http.Cookie{Name: hostedCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true})
	target, answer := q.Get("post_logout_redirect_uri"), url.Values{}
	if q.Has("state") {
		answer["state"] = q["state"]
	}
	if s.onReturn != nil {
		s.onReturn(answer)
	}
	if len(answer) > 0 {
		target += "?" + answer.Encode()
	}
	http.Redirect(w, r, target, http.StatusFound)
}

// OnReturn sets a function that changes the parameters of every redirect after an
// RP-initiated logout.
func (s *Server) OnReturn(edit func(url.Values)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onReturn = edit
}

// logoutEvent is the member of events that a logout token has.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// LogoutFault is a way to make a logout token that must be refused.
type LogoutFault struct {
	// Name is the end of the name of the OpenID conformance suite's module
	// (oidcc-client-test-rp-backchannel-rpinitlogout-…), if there is one.
	Name string
	Edit func(*Token)
}

// LogoutToken returns a logout token (OIDC Back-Channel Logout §2.4) for a user, a
// session, or both. If sub or sid is "" the claim is left out. The edits are applied
// before the token is signed.
func (s *Server) LogoutToken(sub, sid string, edits ...func(*Token)) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	t := newToken(s.keys.id, map[string]any{
		"iss": s.Issuer(), "aud": s.opts.ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"jti": uuidFrom(s.random), "events": map[string]any{logoutEvent: map[string]any{}},
	})
	t.Header["typ"] = "logout+jwt"
	maps.Copy(t.Claims, nonEmpty(map[string]string{"sub": sub, "sid": sid}))
	for _, edit := range edits {
		edit(t)
	}
	return t.sign()
}

func nonEmpty(claims map[string]string) map[string]any {
	out := make(map[string]any)
	for name, value := range claims {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// LogoutFaults are logout tokens that a relying party must refuse (OIDC Back-Channel
// Logout §2.6).
//
//nolint:gochecknoglobals // a table that tests range over
var LogoutFaults = []LogoutFault{
	{"alg-none", algNone},
	{"wrong-alg", func(t *Token) { t.Header["alg"], t.hmac = "HS256", []byte(DefaultSecret) }},
	{"invalid-sig", breakSignature},
	{"foreign-key", (*Token).Forge},
	{"wrong-iss", set("iss", "https://evil.example.com/pool")},
	{"no-iss", unset("iss")},
	{"wrong-aud", set("aud", "another-client")},
	{"no-aud", unset("aud")},
	{"extra-aud", func(t *Token) { t.Claims["aud"] = []any{t.Claims["aud"], "another-client"} }},
	{"no-event", unset("events")},
	{"empty-events", set("events", map[string]any{})},
	{"wrong-event", set("events", map[string]any{"http://schemas.openid.net/event/foo": map[string]any{}})},
	{"event-is-null", set("events", map[string]any{logoutEvent: nil})},
	{"event-is-a-string", set("events", map[string]any{logoutEvent: "yes"})},
	{"events-is-a-list", set("events", []string{logoutEvent})},
	{"with-nonce", set("nonce", "some-nonce")},
	{"with-null-nonce", set("nonce", nil)},
	{"no-jti", unset("jti")},
	{"empty-jti", set("jti", "")},
	{"no-iat", unset("iat")},
	{"future-iat", shift("iat", 10*time.Minute)},
	{"old-iat", shift("iat", -10*time.Minute)},
	{"no-exp", unset("exp")},
	{"expired", shift("exp", -10*time.Minute)},
	{"future-nbf", func(t *Token) {
		t.Claims["nbf"] = t.Claims["iat"]
		shift("nbf", 10*time.Minute)(t)
	}},
	{"no-sub-and-no-sid", func(t *Token) {
		delete(t.Claims, "sub")
		delete(t.Claims, "sid")
	}},
	{"sub-is-a-number", set("sub", 7)},
	{"long-sub", set("sub", randomText(newStream("long"), 256))},
	{"long-sid", set("sid", randomText(newStream("long"), 256))},
	{"typ-of-an-access-token", func(t *Token) { t.Header["typ"] = "at+jwt" }},
	{"typ-is-a-number", func(t *Token) { t.Header["typ"] = 7 }},
	{"not-a-jwt", func(t *Token) { t.edit = func(string) string { return "opaque-" + Canary } }},
	{"not-compact", func(t *Token) {
		t.edit = func(string) string { return `{"payload":"e30","signature":"e30","protected":"e30"}` }
	}},
}

package tokenhandler

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// maxClaims bounds, in characters, the payload of an access token that is read
// for its scopes and groups. What fits the session's cookies is far below.
const maxClaims = 32 << 10

// permissions are what an access token says that its user may do.
type permissions struct{ scopes, groups []string }

// Permits reports whether the access token has all of scopes and its user is in
// one of groups; an empty list asks for nothing. A token that is no JWT permits
// what asks for nothing, and nothing else.
func (g Grant) Permits(scopes, groups []string) bool {
	if len(scopes) == 0 && len(groups) == 0 {
		return true
	}
	p := g.permissions()
	for _, scope := range scopes {
		if !slices.Contains(p.scopes, scope) {
			return false
		}
	}
	return len(groups) == 0 || slices.ContainsFunc(groups, func(group string) bool { return slices.Contains(p.groups, group) })
}

// permissions reads the access token's payload (RFC 7519 §3). Its signature was
// checked when it came from the provider, and the session is sealed. Claims are
// matched to the letter: encoding/json alone would take "Groups" for "groups".
func (g Grant) permissions() permissions {
	_, rest, _ := strings.Cut(g.AccessToken().Reveal(), ".")
	encoded, _, signed := strings.Cut(rest, ".")
	if !signed || len(encoded) > maxClaims {
		return permissions{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return permissions{}
	}
	var claims map[string]json.RawMessage
	if json.Unmarshal(payload, &claims) != nil {
		return permissions{}
	}
	var p permissions
	if scope, isText := text(claims["scope"]); isText { // RFC 9068 §2.2.3
		p.scopes = strings.Fields(scope)
	} else {
		p.scopes = list(claims["scope"])
	}
	if group, isText := text(claims[g.groups]); isText {
		p.groups = []string{group}
	} else {
		p.groups = list(claims[g.groups])
	}
	return p
}

func text(claim json.RawMessage) (string, bool) {
	var s *string
	if json.Unmarshal(claim, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// list is a claim that is an array of nothing but strings; else nil.
func list(claim json.RawMessage) []string {
	var all []string
	if json.Unmarshal(claim, &all) != nil {
		return nil
	}
	return all
}

package tokenhandler

import (
	"bytes"
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
// matched to the letter: a struct would take "Groups" for "groups".
func (g Grant) permissions() permissions {
	_, rest, _ := strings.Cut(g.AccessToken().Reveal(), ".")
	encoded, _, signed := strings.Cut(rest, ".")
	if !signed || len(encoded) > maxClaims {
		return permissions{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !json.Valid(payload) {
		return permissions{}
	}
	payload = bytes.TrimSpace(payload)
	p := permissions{scopes: list(member(payload, "scope")), groups: list(member(payload, g.groups))}
	if len(p.scopes) == 1 && member(payload, "scope")[0] == '"' {
		p.scopes = strings.Fields(p.scopes[0]) // RFC 9068 §2.2.3
	}
	return p
}

// list is a claim that is a string, or an array of nothing but strings; else nil.
func list(claim []byte) []string {
	if len(claim) == 0 {
		return nil
	}
	if claim[0] == '"' {
		var s string
		if json.Unmarshal(claim, &s) != nil {
			return nil
		}
		return []string{s}
	}
	var all []string
	if json.Unmarshal(claim, &all) != nil {
		return nil
	}
	return all
}

// member is the value of an object's member, nil without one; of several the
// last, as for encoding/json. The JSON must be valid. A whole map of the claims
// would cost every request a hundred allocations. A name that is spelt with
// escapes is not found.
func member(object []byte, name string) []byte {
	var value []byte
	depth, start, found := 0, 0, false
	end := func(i int) {
		if found {
			value, found = bytes.TrimSpace(object[start:i]), false
		}
	}
	for i := 0; i < len(object); i++ {
		switch object[i] {
		case '"':
			first := i + 1
			i += stringLen(object[i:]) - 1
			rest := bytes.TrimLeft(object[i+1:], " \t\r\n")
			if depth == 1 && len(rest) > 0 && rest[0] == ':' {
				found, start = object[0] == '{' && string(object[first:i]) == name, len(object)-len(rest)+1
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				end(i)
			}
		case ',':
			if depth == 1 {
				end(i)
			}
		}
	}
	return value
}

// stringLen is the length in bytes of the JSON string that s begins with.
func stringLen(s []byte) int {
	i := 1
	for ; s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return i + 1
}

package tokenhandler

import (
	"encoding/base64"
	"encoding/json"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"cognito-token-handler/tokenhandler/session"
)

// maxClaims is the largest payload of an access token, in characters, that is read
// for its scopes and groups. Tokens that fit into a session's cookies are far smaller.
const maxClaims = 32 << 10

// permissions are what an access token says that its user may do.
type permissions struct{ scopes, groups []string }

// Permits reports whether the access token has all of scopes and its user is in
// one of groups. An empty list permits everybody. An access token that is no JWT has
// no scopes and no groups.
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

func (g Grant) permissions() permissions { return g.permissionCache.of(g.session.Session) }

// parsePermissions reads the payload of an access token (RFC 7519 §3). Its signature
// was verified when the token came from the provider, and the session is sealed. The
// names of claims are compared exactly: json.Unmarshal into a struct would take
// "Groups" for "groups".
func parsePermissions(access, groupsClaim string) permissions {
	_, rest, _ := strings.Cut(access, ".")
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
	scopes := claims["scope"]
	p := permissions{scopes: list(scopes), groups: list(claims[groupsClaim])}
	if len(p.scopes) == 1 && scopes[0] == '"' {
		p.scopes = strings.Fields(p.scopes[0]) // scopes separated by spaces (RFC 9068 §2.2.3)
	}
	return p
}

// list returns the strings of a claim that is one string, or an array of nothing but
// strings. For any other claim it returns nil.
func list(claim json.RawMessage) []string {
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

// maxPermissions and maxNames are how many permissions, and scopes and groups in them,
// are kept in memory. Usual permissions take 300 bytes, but Cognito allows a user 100
// groups with names of 128 bytes each.
const (
	maxPermissions = 20_000
	maxNames       = 100_000
)

// permissionCache keeps what access tokens permit, so that a token is parsed once and
// not on every request. The zero value is empty.
type permissionCache struct {
	groupsClaim string
	seed        maphash.Seed

	mu sync.Mutex
	// recent holds up to half of maxPermissions and of maxNames. When it is full it
	// becomes older, and what is in older is forgotten.
	recent, older map[permissionKey]permissions
	names         int // scopes and groups in recent
}

// permissionKey names an access token. Two replicas may make different tokens for one
// generation, so the token's hash belongs to it.
type permissionKey struct {
	session    session.ID
	generation uint64
	token      uint64
}

func newPermissionCache(groupsClaim string) *permissionCache {
	return &permissionCache{groupsClaim: groupsClaim, seed: maphash.MakeSeed(), recent: make(map[permissionKey]permissions)}
}

// of returns what the access token of s permits.
func (c *permissionCache) of(s *session.Session) permissions {
	access := s.Access.Reveal()
	key := permissionKey{s.ID, s.Generation, maphash.String(c.seed, access)}
	c.mu.Lock()
	p, known := c.recent[key]
	if !known {
		if p, known = c.older[key]; known {
			c.add(key, p)
		}
	}
	c.mu.Unlock()
	if known {
		return p
	}
	p = parsePermissions(access, c.groupsClaim)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(key, p)
	return p
}

// add puts p into recent. The caller holds mu.
func (c *permissionCache) add(key permissionKey, p permissions) {
	names := len(p.scopes) + len(p.groups)
	if len(c.recent) >= maxPermissions/2 || len(c.recent) > 0 && c.names+names > maxNames/2 {
		c.recent, c.older, c.names = make(map[permissionKey]permissions), c.recent, 0
	}
	c.recent[key] = p
	c.names += names
}

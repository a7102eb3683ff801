package tokenhandler

import (
	"maps"
	"slices"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

// MaxNames is how many scopes and groups are kept in memory.
const MaxNames = maxNames

// PermissionCache keeps the permissions of sessions in memory.
type PermissionCache struct{ cache *permissionCache }

// NewPermissionCache returns an empty cache.
func NewPermissionCache(groupsClaim string) PermissionCache {
	return PermissionCache{newPermissionCache(groupsClaim)}
}

// Groups returns the groups of the access token of s.
func (c PermissionCache) Groups(s *session.Session) []string { return c.cache.of(s).groups }

// Names returns how many scopes and groups are kept.
func (c PermissionCache) Names() (count int) {
	for _, half := range []map[permissionKey]permissions{c.cache.recent, c.cache.older} {
		for _, p := range half {
			count += len(p.scopes) + len(p.groups)
		}
	}
	return count
}

// LoginLifetime is how long a login may take.
const LoginLifetime = loginLifetime

// TriedLogins remembers the logins for which a code was redeemed.
type TriedLogins struct{ triedLogins }

// Take counts a try and reports whether it is allowed.
func (t *TriedLogins) Take(state string, most int, now time.Time) bool {
	return t.take(state, most, now)
}

// Len returns the number of remembered logins.
func (t *TriedLogins) Len() int { return len(t.current) + len(t.previous) }

// LoginParameters returns the parameters that a login passes to the provider.
func LoginParameters() []string { return slices.Collect(maps.Keys(passed)) }

// LoginCodes maps the codes of failed logins that no other answer has to their statuses.
func LoginCodes() map[string]int {
	codes := map[string]int{}
	for _, code := range []string{codeAccessDenied, codeLoginFailed, codeLoginRequired, codeUserDisabled, codeTriggerRefused, codeAccountLinked} {
		codes[code] = failureStatus(code)
	}
	return codes
}

package tokenhandler

import (
	"hash/maphash"
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

// Len returns how many access tokens are known.
func (c PermissionCache) Len() int { return len(c.cache.recent) + len(c.cache.older) }

// Knows reports whether the permissions of the access token of s are in the half of the memory
// that is forgotten last.
func (c PermissionCache) Knows(s *session.Session) bool {
	_, known := c.cache.recent[permissionKey{s.ID, s.Generation, maphash.String(c.cache.seed, s.Access.Reveal())}]
	return known
}

// Endings remembers the sessions whose end was recorded.
type Endings struct{ endings }

// IsNew reports whether the end of a session was not recorded.
func (e *Endings) IsNew(id session.ID) bool { return e.isNew(id) }

// Len returns the number of remembered sessions.
func (e *Endings) Len() int { return len(e.recent) + len(e.older) }

// LoggedOut remembers the sessions and users that have logged out.
type LoggedOut struct{ loggedOut }

// AddSession notes a logout.
func (l *LoggedOut) AddSession(id session.ID) { l.addSession(id) }

// AddUser notes a logout everywhere.
func (l *LoggedOut) AddUser(sub string, before time.Time) { l.addUser(sub, before) }

// Has reports whether the user has logged out of s.
func (l *LoggedOut) Has(s *session.Session) bool { return l.has(s) }

// Len returns the number of remembered logouts.
func (l *LoggedOut) Len() (count int) {
	for _, half := range []logouts{l.recent, l.older} {
		count += len(half.sessions) + len(half.users)
	}
	return count
}

// Probes returns how many sessions' probes a handler remembers.
func Probes(h *Handler) int { return len(h.prober.last) }

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

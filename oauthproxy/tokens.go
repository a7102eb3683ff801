package oauthproxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/web"
)

// TokenSource authorises requests: it knows the sessions and their tokens.
type TokenSource interface {
	// Authorize opens the session of r. It may wait for a refresh of the tokens and, if
	// the provider was last asked longer ago than probe, for the provider to confirm
	// that the user is still valid (0: it is never asked). The error is a
	// [*web.Problem] with everything that the response needs: a 401 if there is no
	// session or it has ended, which anonymous routes ignore.
	Authorize(r *http.Request, probe time.Duration) (Grant, error)
}

// Grant is the permission to call an API for one user: the user's tokens, and the
// session that they belong to. All methods except Watch must be called from the
// request's goroutine.
type Grant interface {
	Tokens
	Session
}

// Tokens are the tokens of a [Grant].
type Tokens interface {
	// AccessToken returns the bearer token for APIs (RFC 6750).
	AccessToken() secret.String
	// IDToken returns the ID token, for upstreams that insist on it. It is empty if the
	// session does not keep one.
	IDToken() secret.String
	// Permits reports whether the access token has all of scopes, and whether its user
	// is in one of groups. An empty list requires nothing.
	Permits(scopes, groups []string) bool
	// Renew replaces the access token after an upstream refused it. If it returns nil,
	// there is another token than before. It fails if the token was renewed a moment
	// ago: some upstreams answer 401 to every token.
	Renew(ctx context.Context) error
}

// Session is the session of a [Grant].
type Session interface {
	// Key returns a key for the session, which is not secret: all its requests have the same
	// one, and no other session has it.
	Key() [16]byte
	// Commit adds the session's cookies to the response's header. It is called once,
	// right before the header is written.
	Commit(h http.Header)
	// Watch returns a context that ends with ctx or when the session ends (logout,
	// revocation, expiry); then its cause says why. If the session has ended already,
	// the context is done at once. Any goroutine may call Watch. It uses memory until
	// ctx ends, so it is meant for requests that last long, and ctx must end.
	Watch(ctx context.Context) context.Context
}

// TokenKind selects the token that an upstream gets.
type TokenKind string

// The kinds of token.
const (
	TokenAccess TokenKind = "access"
	TokenID     TokenKind = "id"
	TokenNone   TokenKind = "none"
)

var errNotPermitted = errors.New("the access token lacks a scope of the route, or its user is in none of the route's groups")

// authorize sets the call's grant, and refuses a user to whom the route is not open.
// A route with token none requires a session as well, unless it is anonymous.
func (c *call) authorize() error {
	grant, err := c.handler.cfg.Tokens.Authorize(c.client, c.route.Probe)
	if err == nil {
		c.grant = grant
		return c.checkPermission()
	}
	p := web.AsProblem(err)
	if c.route.Anonymous && p.Status() == http.StatusUnauthorized {
		c.expiredCookies = p.Header["Set-Cookie"]
		return nil
	}
	return p
}

// isPermitted reports whether the route is open to the user, according to the
// grant's current access token.
func (c *call) isPermitted() bool {
	r := c.route
	return len(r.Scopes) == 0 && len(r.Groups) == 0 || c.grant.Permits(r.Scopes, r.Groups)
}

// checkPermission refuses a user to whom the route is not open. The response still
// carries the session's cookies: if authorising has refreshed the tokens, the
// browser's cookie may hold tokens that no longer work.
func (c *call) checkPermission() error {
	if c.isPermitted() {
		return nil
	}
	p := web.NewProblem(web.CodeInsufficientScope, "this route requires scopes or groups that the session lacks", errNotPermitted)
	p.Header = make(http.Header)
	c.grant.Commit(p.Header)
	return p
}

// token returns the token for the upstream. It is empty if the upstream gets none.
func (c *call) token() secret.String {
	switch {
	case c.grant == nil:
		return secret.String{}
	case c.route.Token == TokenID:
		return c.grant.IDToken()
	case c.route.Token == TokenAccess:
		return c.grant.AccessToken()
	}
	return secret.String{}
}

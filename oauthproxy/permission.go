package oauthproxy

import (
	"errors"
	"net/http"

	"cognito-token-handler/tokenhandler/web"
)

var errNotPermitted = errors.New("the access token lacks a scope of the route, or its user the group")

// permitted reports whether the route is open to the user, as the grant's access
// token of now has it.
func (c *call) permitted() bool {
	r := c.route
	return len(r.Scopes) == 0 && len(r.Groups) == 0 || c.handler.cfg.Tokens.Permits(c.grant, r.Scopes, r.Groups)
}

// permit refuses a user to whom the route is not open. A session that was
// renewed on the way reaches the browser all the same: the token that it had
// before may be worth nothing by now.
func (c *call) permit() error {
	if c.permitted() {
		return nil
	}
	p := web.NewProblem(web.CodeInsufficientScope, "this route asks for scopes or groups that the session lacks", errNotPermitted)
	p.Header = make(http.Header)
	c.grant.Commit(p.Header)
	return p
}

package tokenhandler

import (
	"errors"
	"net/http"

	"cognito-token-handler/tokenhandler/web"
)

// expectedSub is the header with which a page names the user that it shows. It is in the
// canonical spelling of net/http.
const expectedSub = "X-Expected-Sub"

var errUserChanged = errors.New("the request expects the session of another user")

// isExpected reports whether the request expects the session of this user, or nobody's in
// particular. A window may still show one user while another one has logged in since, in
// another window of the same browser: without the check, its requests would read and write
// what belongs to the other one. Every value must be the sub, an empty one too.
func isExpected(r *http.Request, subject string) bool {
	for _, sub := range r.Header[expectedSub] {
		if sub != subject {
			return false
		}
	}
	return true
}

// userChanged returns the response to a request that expects another user.
func userChanged() *web.Problem {
	return web.NewProblem(web.CodeUserChanged,
		"the session is of another user than "+expectedSub+" names; load the session again", errUserChanged)
}

package storage

import "net/http"

// Authorizer says who makes a request. It may be called concurrently, and must not
// write a response.
type Authorizer interface {
	// Authorize returns an error if there is no session, if it has expired or was
	// revoked, or if its tokens cannot be refreshed now. The error is a *web.Problem,
	// which is the response. The Grant is valid for r only.
	Authorize(r *http.Request) (Grant, error)
}

// Grant is the permission to upload files for one user.
type Grant interface {
	// Subject returns the user's stable id at the provider. It is NOT trusted to be a
	// safe path segment: this package checks it before it uses it in a key.
	Subject() string
	// Commit adds the session's cookies to the response's header. It is called once,
	// right before the header is written, also when the request is refused: if the
	// tokens were refreshed, the browser must get the new cookies in any case.
	Commit(h http.Header)
}

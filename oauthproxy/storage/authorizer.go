package storage

import "net/http"

// Authorizer tells whose request it is.
//
// Authorize returns an error if there is no session, if it is expired or
// revoked, or if it cannot be renewed now; every such error is a *web.Problem
// and is answered as it is. A Grant that is returned is valid for this request
// only. It may be called concurrently, and must not write an answer.
type Authorizer interface {
	Authorize(r *http.Request) (Grant, error)
}

// Grant is one authorised request.
//
// Subject is the user's stable id at the provider. It is NOT trusted to be a
// safe path segment: this package checks it before it names a folder.
//
// Commit adds the session's Set-Cookie headers, if there are any, to the answer
// whose headers are h. It must be called once, right before the header is
// written, on refusals too: a session that was renewed on the way must reach
// the browser whatever the answer is.
type Grant interface {
	Subject() string
	Commit(h http.Header)
}

// Package admin serves everything under /admin on the admin listener: an operator
// ends all sessions of a user, or one session, at once, and takes that back for sessions
// that have not been refused since.
//
// It protects against clients that reach the listener without the operators' token,
// and against pages that send a form there: the token is in a header that no form
// can set.
//
// The package does not depend on cookies, tokens and where revocations are kept.
package admin

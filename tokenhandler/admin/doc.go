// Package admin owns everything under /admin, on the admin listener: ending the
// sessions of a user, or one session, at once.
//
// It stands against whoever reaches the listener without the operators' token,
// and against a page that sends a form there: the token is a header that no
// form can set. It knows nothing of cookies, tokens and what keeps revocations.
package admin

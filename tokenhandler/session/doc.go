// Package session owns what a session is: the tokens of one login in sealed,
// split cookies; how long it lives, idle and at most; and that it is refreshed
// by one call at a time, whose result every parallel request gets.
//
// It stands against stolen cookie jars (everything is sealed), parts of
// different writes put together (one ciphertext over all parts), crafted
// cookies (bounds before any crypto), an idle session kept alive by polling,
// a refresh race that logs a user out, and a late answer that brings back a
// session which was ended.
//
// It knows nothing of OAuth, of routes and of error pages: the provider is a
// [Refresher], what is revoked is a [DenyList].
package session

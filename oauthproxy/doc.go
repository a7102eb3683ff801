// Package oauthproxy owns the API routes: it forwards the app's calls to the
// APIs behind it and swaps the session cookie for a bearer token on the way.
//
// It stands against requests to hosts and paths that nobody configured (a fixed
// table, longest prefix, one reading of a path), headers that a client smuggles
// to the upstream, upstream headers that would change the app's site, bodies
// without a bound, tokens or our cookies where they do not belong, WebSockets
// that another site opens, and sockets and streams that outlive their session.
//
// It must not know how a session is kept or refreshed: a [TokenSource] does.
package oauthproxy

// Package oauthproxy serves the API routes: it forwards the app's requests to the
// APIs behind it and replaces the session cookie with a bearer token. WebSockets are
// in the package socket; which headers pass is decided in headers.go.
//
// It protects against requests to hosts and paths that nobody configured (routes are a
// fixed table, the longest prefix wins, and a path must not be ambiguous), against
// request headers that upstreams would trust, response headers that would change the
// app's site, bodies without a bound, tokens and session cookies sent to the wrong
// place, WebSockets opened by other sites, and connections that outlive their
// session.
//
// The package does not depend on how sessions are kept or refreshed. A [TokenSource]
// hides that.
package oauthproxy

// Package tokenhandler owns everything under /auth: starting a login, the
// callback, who is logged in, refresh, logout, and what gateways ask. It turns a
// request's cookie into a grant for whoever forwards requests with the user's
// token.
//
// It stands against login CSRF (a sealed cookie per login, compared before the
// code is redeemed), code injection (PKCE, nonce), open redirects, loops of
// failing logins, cross-site calls, tokens in any answer to a browser, and a
// session that survives its logout.
//
// It must not know the API routes, S3, the provider's protocol (a [Provider]
// does) and the form of the cookies (package session does).
package tokenhandler

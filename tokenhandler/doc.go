// Package tokenhandler serves everything under /auth: login and callback, who is
// logged in, refresh, logout, and the questions of gateways. [Handler.Authorize]
// turns the cookies of a request into a [Grant] for the packages that forward
// requests with the user's token.
//
// It protects against login CSRF (a sealed cookie for each login, compared before
// the code is redeemed), injected codes (PKCE, nonce), open redirects, logins that
// fail in a loop, calls from other sites, tokens in answers to a browser, and a
// session that survives its logout.
//
// The package does not depend on API routes and S3. A [Provider] hides the protocol of
// the provider, and package session the form of the cookies.
package tokenhandler

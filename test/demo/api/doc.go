// Package demoapi is the API that the demo page of the local stack calls. It is a resource server that requires an access token, and
// checks the token's signature, issuer, client, use and expiry.
//
// It is independent of the token handler: it has no cookies, sessions or CSRF checks. It never returns a token.
package demoapi

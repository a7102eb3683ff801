// Package demoapi is the API that the local stack's demo page calls: a resource server that knows access tokens only, and believes
// none whose signature, issuer, client, use and time it has not checked.
//
// It must not know the token handler: no cookie, no session, no CSRF rule. It never gives back a token.
package demoapi

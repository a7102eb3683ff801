// Package oidcprovider runs oidc-provider from npm, a certified OpenID provider that has nothing to do with Cognito or with this
// repository, so that what the token handler takes for OpenID Connect is somebody else's reading of it, too. It has one
// confidential client, asks for PKCE, rotates refresh tokens and ends a grant whose used token comes back, revokes, and has
// RP-initiated and back-channel logout.
//
// It must not know the token handler. It listens on the loopback interface only and lets anybody in by any password.
package oidcprovider

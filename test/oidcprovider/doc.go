// Package oidcprovider runs oidc-provider from npm, a certified OpenID provider that has nothing to do with Cognito or with this
// repository, so that the token handler is also tested against an independent implementation of OpenID Connect. It has one
// confidential client, requires PKCE, rotates refresh tokens, revokes a grant when one of its used refresh tokens is sent
// again, and has revocation, RP-initiated logout and back-channel logout.
//
// It is independent of the token handler. It listens on the loopback interface only and accepts every user name with every password.
package oidcprovider

// Package cognitolocal runs the real cognito-local from npm, seeded with one pool, one app client with a secret and its users, and
// puts a proxy in front of it that adds what Cognito has and cognito-local lacks: full discovery, client authentication, revocation, the userInfo endpoint,
// logout, pages for sign-up, forgotten passwords and passkeys, the refusal of disabled users and expired refresh tokens, and an expires_in that is true.
//
// The package does not depend on the token handler. It listens on localhost only, and its signing key is public, because it is part of the npm
// package: its tokens must not be trusted outside a developer's machine.
package cognitolocal

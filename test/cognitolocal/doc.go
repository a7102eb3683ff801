// Package cognitolocal runs the real cognito-local from npm, seeded with one pool, one app client with a secret and its users, and
// puts in front of it what it lacks and Cognito has: full discovery, client authentication, revocation, the userInfo endpoint,
// logout, the refusal of disabled users and expired refresh tokens, and a true expires_in.
//
// It must not know the token handler. It listens on localhost only, and its signing key is public knowledge (it is part of the npm
// package): nothing that it signs may ever be trusted outside a developer's machine.
package cognitolocal

// Package cognito is the client of one OpenID provider. It builds the URLs of
// login and logout, redeems codes, refreshes and revokes tokens, signs users out
// everywhere, asks whether an access token is still accepted, verifies every token
// that it receives, and keeps its calls below the provider's quota.
//
// The profile [Cognito] knows where Amazon Cognito differs from OpenID Connect:
// access tokens without an audience, a logout page that is no RP-initiated logout,
// hosted pages for sign-up and forgotten passwords, PKCE that discovery does not
// mention. README.md lists what is known of it, with sources. The profile [OIDC]
// is plain OpenID Connect.
//
// It protects against tokens of another issuer, client, user or kind, unsigned
// tokens and other algorithms, answers that are no JSON or never end, forged
// tokens that cause key fetches, waves of logins that use up the quota of all
// users, refresh tokens that nobody holds, and text of the provider in logs and
// answers.
//
// The package does not depend on cookies, sessions and HTTP handlers.
package cognito

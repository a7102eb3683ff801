// Package cognito owns the conversation with one OpenID provider: where to
// send the browser, the exchange of a code, refresh, revocation, logout here
// and everywhere, whether a user is still there, the verification of every token
// that comes back, and how many calls a second all of that may be.
//
// The cognito profile knows Amazon Cognito's own ways (FACTS A): access tokens
// without an audience, a logout that is no RP-initiated logout, hosted pages
// for sign-up and forgotten passwords, PKCE that is not advertised. The oidc
// profile is plain OpenID Connect.
//
// It stands against tokens of another issuer, client, user or kind, unsigned
// or differently signed tokens, answers that are no JSON or never end, floods
// of key fetches, waves of logins that use up the quota of all, refresh tokens
// that nobody holds, and a provider's text in our logs and answers.
//
// It knows nothing of cookies, sessions and HTTP handlers.
package cognito

// Package cognito owns the conversation with one OpenID provider: where to
// send the browser, the exchange of a code, refresh, revocation, logout, and
// the verification of every token that comes back.
//
// The cognito profile knows Amazon Cognito's own ways (FACTS A): access tokens
// without an audience, a logout that is no RP-initiated logout, hosted pages
// for sign-up and forgotten passwords, PKCE that is not advertised. The oidc
// profile is plain OpenID Connect.
//
// It stands against tokens of another issuer, client, user or kind, unsigned
// or differently signed tokens, answers that are no JSON or never end, floods
// of key fetches, and a provider's text in our logs and answers.
//
// It knows nothing of cookies, sessions and HTTP handlers.
package cognito

// Package provider is the contract between the service and an OpenID provider:
// what a login asks for ([AuthRequest], [CodeGrant], [LogoutToken]) and how a
// failed call is reported ([Error] and its kinds).
//
// The packages that call a provider declare the interfaces that they need with
// these types, and package cognito implements them. Callers decide by the kind of
// an error, with [errors.Is], and never by its text.
//
// It protects against a session that is ended because of a passing failure, and
// against a provider's text in answers, and in logs where it could be a token or end
// the line.
//
// The package does not depend on HTTP, cookies, sessions or a particular provider.
package provider

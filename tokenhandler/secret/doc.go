// Package secret has types for values that must never be printed: tokens, client
// secrets, keys. Every way of formatting or marshalling them writes "[redacted]", so
// that a log attribute, a %+v of a struct or a JSON encoder cannot leak a session
// (OWASP ASVS V16.2.5).
//
// The package does not use the secrets: it has no OAuth, HTTP or cryptography.
package secret

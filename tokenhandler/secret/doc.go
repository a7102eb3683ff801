// Package secret owns the string types that must never be printed: tokens,
// client secrets, keys. Every way of formatting or marshalling them writes
// "[redacted]", so that a forgotten log attribute, a %+v of a struct or a JSON
// encoder cannot leak a session (OWASP ASVS V16.2.5).
//
// It knows nothing of what the secrets are for: no OAuth, no HTTP, no crypto.
package secret

package secret

import "time"

// Tokens is a verified response of a provider's token endpoint: the tokens, and what
// the ID token says about the user. The tokens are redacted when it is printed.
type Tokens struct {
	// Access is the access token (RFC 6749 §1.4).
	Access String
	// AccessExpires is when Access expires.
	AccessExpires time.Time
	// Refresh is the refresh token (RFC 6749 §1.5); empty if the provider gave none.
	Refresh String
	// ID is the ID token (OIDC Core §2); empty if the provider gave none.
	ID String

	// Subject is the ID token's sub.
	Subject string
	// AuthTime is when the provider authenticated the user (auth_time, else iat).
	AuthTime time.Time
	// Claims is a JSON object of the configured claims of the ID token; empty if
	// the provider gave no ID token.
	Claims string
	// NonceHash is the first bytes of the SHA-256 of the login's nonce. If a refreshed ID
	// token has a nonce, it must be the same (OIDC Core §12.2).
	NonceHash [4]byte
	// RefreshExpires is when the refresh token expires; zero if the provider did not say.
	RefreshExpires time.Time
	// SID is the provider's session id (OIDC Back-Channel Logout §2.1); may be empty.
	SID string
}

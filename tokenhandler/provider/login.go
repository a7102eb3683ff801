package provider

import (
	"net/netip"
	"time"
)

// Page is the provider's page on which a login begins.
type Page string

// The pages. Each of them ends in the same callback.
const (
	PageLogin          Page = "login"
	PageSignup         Page = "signup"
	PageForgotPassword Page = "forgot-password"
)

// AuthRequest is an authorization request (OpenID Connect Core 1.0 §3.1.2.1).
type AuthRequest struct {
	// Page is where the browser is sent.
	Page Page
	// State, Nonce and Verifier (RFC 7636 §4.1) are random values made for this
	// request only. Required.
	State, Nonce, Verifier string
	// Extra are further parameters, which the caller has checked. None of them can
	// replace a parameter of the request's own.
	Extra map[string]string
}

// CodeGrant redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
type CodeGrant struct {
	// Code is the authorization code that the callback received.
	Code string
	// Verifier is the PKCE verifier of the login's AuthRequest.
	Verifier string
	// Nonce is the nonce of the login's AuthRequest. The ID token must contain it.
	Nonce string
	// MaxAge is the max_age of the login's AuthRequest, or negative if it had
	// none. With it the ID token must contain an auth_time that is recent enough
	// (OpenID Connect Core 1.0 §3.1.3.7).
	MaxAge time.Duration
	// Client is the network of the browser's address, by which calls that wait take
	// turns. The zero value means that it is not known.
	Client netip.Prefix
}

// LoginError is what a provider's error response to a login means, as far as its
// description tells.
type LoginError struct {
	Kind LoginErrorKind
	// Message is the text of the app's own rule, if Kind is TriggerRefused and the
	// rule's authors write texts for users. It is not checked.
	Message string
}

// LoginErrorKind is why a login was refused.
type LoginErrorKind int

// The kinds.
const (
	// OtherReason means that the description tells nothing.
	OtherReason LoginErrorKind = iota
	// UserDisabled means that the user's account is disabled.
	UserDisabled
	// TriggerRefused means that a rule of the app's, which runs at the provider,
	// refused the login.
	TriggerRefused
	// AccountLinked means that this login only linked the user's account with that of
	// an identity provider. The next one succeeds.
	AccountLinked
)

// LogoutToken names the sessions that the provider has ended (OpenID Connect
// Back-Channel Logout 1.0 §2.4). At least one of its fields is set.
type LogoutToken struct {
	// Subject is the user, SID the provider's session.
	Subject, SID string
}

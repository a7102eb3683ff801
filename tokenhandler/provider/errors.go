package provider

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of an [Error]. Every Error is exactly one of them, except that an
// ErrRateLimited error is an ErrUnavailable error, too, and an ErrUnverified error an
// ErrInvalidResponse error.
var (
	// ErrRejected means that the provider refused the code or the token for good
	// (invalid_grant of RFC 6749 §5.2, invalid_token of RFC 6750 §3.1). It is the
	// only kind that ends a session.
	ErrRejected = errors.New("rejected")
	// ErrUnavailable means that the provider was not reached, did not answer in
	// time, or answered that it is busy or failing. A new try may succeed: see
	// [RetryAfter].
	ErrUnavailable = errors.New("unavailable")
	// ErrRateLimited means that the provider answered 429, or that the call was
	// not sent because the provider would have.
	ErrRateLimited = fmt.Errorf("rate limited: %w", ErrUnavailable)
	// ErrInvalidResponse means that the provider's answer, or a token in it,
	// cannot be used.
	ErrInvalidResponse = errors.New("invalid response")
	// ErrUnverified means that a token in the provider's answer cannot be verified
	// yet, but may be later: clocks differ, or a key is not published yet.
	ErrUnverified = fmt.Errorf("not verified yet: %w", ErrInvalidResponse)
	// ErrRefused means that the provider refused to refresh tokens, and did not say
	// invalid_grant. Some providers answer so to a dead refresh token, but the cause may
	// be this service, too.
	ErrRefused = errors.New("refused")
	// ErrMisconfigured means that the provider refused this service and not the
	// user (invalid_client, unauthorized_client, invalid_request and so on), or
	// that the configuration is not usable with it.
	ErrMisconfigured = errors.New("misconfigured")
)

// ErrUnsupported means that the provider does not offer what it was to be asked. It is
// no kind of an [Error], because nothing failed.
var ErrUnsupported = errors.New("the provider does not offer this")

// Error is a failed call to the provider. It holds no token, so it may be logged: Code
// is from a fixed list, and RequestID and Description are checked by whoever sets
// them. No browser may get it, because Description is text of the provider's.
type Error struct {
	// Op is what was being done, as a gerund.
	Op string
	// Kind is one of the kinds. Required.
	Kind error
	// Reason is a sentence of this service's.
	Reason string
	// Cause is why the provider was not reached, or empty.
	Cause Cause
	// Code is the OAuth error code (RFC 6749 §5.2), "other" for one that is not
	// known, or empty.
	Code string
	// Description is error_description (RFC 6749 §5.2) in quotes: shortened, escaped, and
	// without anything that could be a token. It may be empty.
	Description string
	// Status is the HTTP status, or 0 without an answer.
	Status int
	// RequestID is the provider's name for the request, or empty.
	RequestID string
	// RetryAfter is the pause that the provider asked for; 0 if it named none.
	// Callers use the function [RetryAfter] instead.
	RetryAfter time.Duration
}

// Error says what failed and why, with cause, status, code, description and request id
// if there are any.
func (e *Error) Error() string {
	text := e.Op + ": " + e.Reason
	if e.Cause != "" {
		text += " (" + string(e.Cause) + ")"
	}
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d", e.Status)
		if e.Code != "" {
			text += ", " + e.Code
		}
		if e.Description != "" {
			text += ", " + e.Description
		}
		if e.RequestID != "" {
			text += ", request id " + e.RequestID
		}
		text += ")"
	}
	return text
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

// minRetryAfter is the shortest pause before a new try.
const minRetryAfter = time.Second

// RetryAfter returns how long to wait before trying again: for an [Error] that is
// [ErrUnavailable] the pause that the provider asked for, but at least a second.
// It returns 0 for any other error, because then nothing suggests that a new try
// would succeed.
func RetryAfter(err error) time.Duration {
	failed, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(failed, ErrUnavailable) {
		return 0
	}
	return max(failed.RetryAfter, minRetryAfter)
}

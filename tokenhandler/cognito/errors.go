package cognito

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"golang.org/x/oauth2"
)

// Kind says what an [Error] means for the caller.
type Kind int

const (
	// Nonsense: the provider answered something that cannot be used.
	Nonsense Kind = iota
	// Unavailable: not reached, timed out, 429 or 5xx. It may pass.
	Unavailable
	// Rejected: invalid_grant. The code or refresh token is dead for good.
	Rejected
	// Misconfigured: the provider refused us, not the user (invalid_client,
	// unauthorized_client, invalid_request …).
	Misconfigured
)

// String names the kind as metrics do.
func (k Kind) String() string {
	switch k {
	case Nonsense:
		return "nonsense"
	case Unavailable:
		return "unavailable"
	case Rejected:
		return "rejected"
	case Misconfigured:
		return "misconfigured"
	}
	return "unknown"
}

// Error is a failed conversation with the provider. It holds no text of the
// provider's: the OAuth error code comes from a fixed list, the request id is
// Cognito's own (FACTS COG-TOK-06), the rest is ours. So it may be logged.
type Error struct {
	// Op is what was being done, as a gerund.
	Op string
	// Kind is what it means.
	Kind Kind
	// Reason is a sentence of ours.
	Reason string
	// Code is the OAuth error code (RFC 6749 §5.2), "other" if unknown, or empty.
	Code string
	// Status is the HTTP status, or 0.
	Status int
	// RequestID is x-amz-cognito-request-id, or empty.
	RequestID string

	retryAfter time.Duration
	// limited: refused for the sake of the provider's quota otherwise than by 429.
	limited bool
}

// Error puts the parts together.
func (e *Error) Error() string {
	text := e.Op + ": " + e.Reason
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d", e.Status)
		if e.Code != "" {
			text += ", " + e.Code
		}
		if e.RequestID != "" {
			text += ", request id " + e.RequestID
		}
		text += ")"
	}
	return text
}

// Rejected reports whether the grant is dead for good.
func (e *Error) Rejected() bool { return e.Kind == Rejected }

// Unavailable reports whether the failure may pass by itself.
func (e *Error) Unavailable() bool { return e.Kind == Unavailable }

// RateLimited reports whether the provider asked to slow down, or whether the
// call was not even sent because it would have.
func (e *Error) RateLimited() bool { return e.limited || e.Status == http.StatusTooManyRequests }

// RetryAfter is when a new try makes sense; 0 if nothing suggests that one does.
func (e *Error) RetryAfter() time.Duration {
	if e.Kind != Unavailable {
		return 0
	}
	return max(e.retryAfter, time.Second)
}

// errorCodes are the OAuth codes that are told by name (RFC 6749 §5.2 and
// §4.1.2.1, RFC 7009 §2.2.1, OIDC Core §3.1.2.6).
//
//nolint:gochecknoglobals // a constant set
var errorCodes = map[string]bool{
	"invalid_request": true, "invalid_client": true, "invalid_grant": true, "unauthorized_client": true,
	"unsupported_grant_type": true, "invalid_scope": true, "access_denied": true, "server_error": true,
	"temporarily_unavailable": true, "unsupported_token_type": true, "login_required": true,
	"interaction_required": true, "consent_required": true, "account_selection_required": true,
}

// ErrorCode returns code if it is one of the OAuth error codes, else "other".
func ErrorCode(code string) string {
	if errorCodes[code] {
		return code
	}
	return "other"
}

// tokenError classifies what x/oauth2 returned. Its errors hold the answer's
// body, so none of them is wrapped.
func tokenError(op string, err error) *Error {
	if answered, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answered.Response != nil {
		return refusal(op, answered.Response, answered.ErrorCode)
	}
	return networkError(op, err)
}

// refusal classifies an OAuth error (RFC 6749 §5.2). Only with a 4xx status is
// it one: a success that says invalid_grant contradicts itself, and must not
// end a session.
func refusal(op string, answer *http.Response, code string) *Error {
	e := statusError(op, answer)
	if code == "" || e.Kind == Unavailable || answer.StatusCode < http.StatusBadRequest {
		return e
	}
	e.Code = ErrorCode(code)
	switch e.Code {
	case "invalid_grant":
		e.Kind, e.Reason = Rejected, "the provider refused the grant"
	case "temporarily_unavailable", "server_error":
		e.Kind, e.Reason = Unavailable, "the provider is busy or failing"
	default:
		e.Kind, e.Reason = Misconfigured, "the provider refused the request"
	}
	return e
}

// statusError classifies an answer by its status alone.
func statusError(op string, answer *http.Response) *Error {
	e := &Error{Op: op, Kind: Nonsense, Reason: "the provider answered unexpectedly", Status: answer.StatusCode, RequestID: requestID(answer)}
	if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= http.StatusInternalServerError {
		e.Kind, e.Reason = Unavailable, "the provider is busy or failing"
		e.retryAfter = retryAfter(answer)
	}
	return e
}

// networkError classifies an error without an answer. Nothing of the error is
// told: those of a parser quote the answer.
func networkError(op string, err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if shed, ok := errors.AsType[*shedError](err); ok {
		return &Error{Op: op, Kind: Unavailable, Reason: shed.Error(), retryAfter: shed.after, limited: true}
	}
	if errors.Is(err, errTooLarge) {
		return &Error{Op: op, Kind: Nonsense, Reason: errTooLarge.Error()}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &Error{Op: op, Kind: Unavailable, Reason: "the provider did not answer in time"}
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		reason := "the provider was not reached"
		if failed.Timeout() {
			reason = "the provider did not answer in time"
		}
		return &Error{Op: op, Kind: Unavailable, Reason: reason}
	}
	if errors.Is(err, errNoKeys) {
		return &Error{Op: op, Kind: Nonsense, Reason: errNoKeys.Error()}
	}
	return &Error{Op: op, Kind: Nonsense, Reason: "the provider's answer could not be read"}
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func requestID(answer *http.Response) string {
	if id := answer.Header.Get("X-Amz-Cognito-Request-Id"); plainID.MatchString(id) {
		return id
	}
	return ""
}

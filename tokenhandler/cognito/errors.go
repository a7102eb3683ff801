package cognito

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"

	"golang.org/x/oauth2"

	"cognito-token-handler/tokenhandler/provider"
)

// errorCodes are the OAuth error codes that errors name (RFC 6749 §5.2 and
// §4.1.2.1, RFC 7009 §2.2.1, OpenID Connect Core 1.0 §3.1.2.6). Any other code may
// be text of anybody's.
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

// tokenError converts an error of x/oauth2. It does not wrap it, because errors of
// x/oauth2 contain the body of the answer.
func tokenError(op string, err error) *provider.Error {
	if answered, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answered.Response != nil {
		return refusal(op, answered.Response, answered.ErrorCode, answered.ErrorDescription)
	}
	return networkError(op, err)
}

// refusal converts an OAuth error answer (RFC 6749 §5.2). The code counts only
// with a 4xx status: a 200 that contains invalid_grant contradicts itself and must
// not end a session.
func refusal(op string, answer *http.Response, code, description string) *provider.Error {
	e := statusError(op, answer)
	e.Description = quoted(description)
	if code == "" || errors.Is(e, provider.ErrUnavailable) || answer.StatusCode < http.StatusBadRequest {
		return e
	}
	e.Code = ErrorCode(code)
	switch e.Code {
	case "invalid_grant":
		e.Kind, e.Reason = provider.ErrRejected, "the provider refused the grant"
	case "temporarily_unavailable", "server_error":
		e.Kind, e.Reason = provider.ErrUnavailable, "the provider is busy or failing"
	default:
		e.Kind, e.Reason = provider.ErrMisconfigured, "the provider refused the request"
	}
	return e
}

// statusError converts an answer that has no usable OAuth error code.
func statusError(op string, answer *http.Response) *provider.Error {
	e := &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "the provider answered unexpectedly", Status: answer.StatusCode, RequestID: requestID(answer)}
	switch {
	case answer.StatusCode == http.StatusTooManyRequests:
		e.Kind = provider.ErrRateLimited
	case answer.StatusCode >= http.StatusInternalServerError:
		e.Kind = provider.ErrUnavailable
	default:
		return e
	}
	e.Reason, e.RetryAfter = "the provider is busy or failing", retryAfter(answer)
	return e
}

// networkError converts the error of a call without a usable answer. It keeps no
// text of err, because parsers quote the answer.
func networkError(op string, err error) *provider.Error {
	if known, ok := errors.AsType[*provider.Error](err); ok {
		return known
	}
	if shed, ok := errors.AsType[*shedError](err); ok {
		return &provider.Error{Op: op, Kind: provider.ErrRateLimited, Reason: shed.Error(), RetryAfter: shed.after}
	}
	if errors.Is(err, errTooLarge) {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: errTooLarge.Error()}
	}
	if errors.Is(err, context.Canceled) {
		return &provider.Error{Op: op, Kind: provider.ErrUnavailable, Reason: "the provider did not answer in time"}
	}
	if _, ok := errors.AsType[*url.Error](err); ok || errors.Is(err, context.DeadlineExceeded) {
		e := &provider.Error{Op: op, Kind: provider.ErrUnavailable, Reason: "the provider was not reached", Cause: provider.CauseOf(err)}
		if e.Cause == provider.CauseTimeout {
			e.Reason = "the provider did not answer in time"
		}
		return e
	}
	if errors.Is(err, errNoKeys) {
		return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: errNoKeys.Error()}
	}
	return &provider.Error{Op: op, Kind: provider.ErrInvalidResponse, Reason: "the provider's answer could not be read"}
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func requestID(answer *http.Response) string {
	if id := answer.Header.Get("X-Amz-Cognito-Request-Id"); plainID.MatchString(id) {
		return id
	}
	return ""
}

package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"cognito-token-handler/tokenhandler/wire"
)

// Code is the machine-readable name of an error. Clients branch on it, so it never
// changes.
type Code string

// The codes of the service's own error responses.
const (
	CodeInvalidRequest      Code = "invalid_request"
	CodeNotAuthenticated    Code = "not_authenticated"
	CodeSessionExpired      Code = "session_expired"
	CodeCrossSiteRequest    Code = "cross_site_request"
	CodeInsufficientScope   Code = "insufficient_scope"
	CodeQuotaExceeded       Code = "quota_exceeded"
	CodeNotFound            Code = "not_found"
	CodeMethodNotAllowed    Code = "method_not_allowed"
	CodeAlreadyExists       Code = "already_exists"
	CodeUserChanged         Code = "user_changed"
	CodePreconditionFailed  Code = "precondition_failed"
	CodeTooLarge            Code = "too_large"
	CodeMisdirectedRequest  Code = "misdirected_request"
	CodeRateLimited         Code = "rate_limited"
	CodeSessionTooLarge     Code = "session_too_large"
	CodeCookiesTooLarge     Code = "cookies_too_large"
	CodeUpstreamError       Code = "upstream_error"
	CodeUpstreamTimeout     Code = "upstream_timeout"
	CodeProviderError       Code = "provider_error"
	CodeProviderUnavailable Code = "provider_unavailable"
	CodeStoreUnavailable    Code = "store_unavailable"
	CodeAuditUnavailable    Code = "audit_unavailable"
	// CodeInternal is a bug in the service: a recovered panic, or an error that no handler
	// has turned into a [Problem].
	CodeInternal Code = "internal_error"
)

// Codes returns all codes, for metrics that have them as label.
func Codes() []Code {
	return []Code{
		CodeInvalidRequest, CodeNotAuthenticated, CodeSessionExpired, CodeCrossSiteRequest, CodeInsufficientScope, CodeQuotaExceeded,
		CodeNotFound, CodeMethodNotAllowed, CodeAlreadyExists, CodeUserChanged, CodePreconditionFailed, CodeTooLarge, CodeMisdirectedRequest,
		CodeRateLimited, CodeSessionTooLarge, CodeCookiesTooLarge, CodeUpstreamError, CodeUpstreamTimeout, CodeProviderError,
		CodeProviderUnavailable, CodeStoreUnavailable, CodeAuditUnavailable, CodeInternal,
	}
}

// statusOf maps each code to its HTTP status.
func statusOf(c Code) int {
	switch c {
	case CodeInvalidRequest:
		return http.StatusBadRequest
	case CodeNotAuthenticated, CodeSessionExpired:
		return http.StatusUnauthorized
	case CodeCrossSiteRequest, CodeInsufficientScope, CodeQuotaExceeded:
		return http.StatusForbidden
	case CodeNotFound:
		return http.StatusNotFound
	case CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed
	case CodeAlreadyExists, CodeUserChanged:
		return http.StatusConflict
	case CodePreconditionFailed:
		return http.StatusPreconditionFailed
	case CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case CodeMisdirectedRequest:
		return http.StatusMisdirectedRequest
	case CodeRateLimited:
		return http.StatusTooManyRequests
	case CodeCookiesTooLarge:
		return http.StatusRequestHeaderFieldsTooLarge
	case CodeUpstreamError, CodeProviderError:
		return http.StatusBadGateway
	case CodeUpstreamTimeout:
		return http.StatusGatewayTimeout
	case CodeProviderUnavailable, CodeStoreUnavailable, CodeAuditUnavailable:
		return http.StatusServiceUnavailable
	case CodeSessionTooLarge, CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// Problem is an error for the client and for the log. Code and Detail are sent to the
// client as problem details (RFC 9457); Err is only logged.
type Problem struct { //nolint:errname // the name that RFC 9457 gives it
	// Code is the kind of error. It determines the status.
	Code Code
	// Detail is a sentence for the developer who reads the response. It must not contain
	// text from a provider, an upstream or a cookie.
	Detail string
	// Header is added to the response (Allow, Retry-After, expired cookies).
	Header http.Header
	// Err is the cause. It is logged, so it must not contain a secret.
	Err error
	// Limit is the limit that refused the request, for the metric; empty if none did.
	Limit string
}

// NewProblem returns a problem; err may be nil.
func NewProblem(code Code, detail string, err error) *Problem {
	return &Problem{Code: code, Detail: detail, Err: err}
}

// WithHeader adds a header to the response and returns p.
func (p *Problem) WithHeader(key, value string) *Problem {
	if p.Header == nil {
		p.Header = make(http.Header)
	}
	p.Header.Add(key, value)
	return p
}

// RetryAfter sets Retry-After in whole seconds, at least one (RFC 9110 §10.2.3).
func (p *Problem) RetryAfter(d time.Duration) *Problem {
	seconds := max(1, int64((d+time.Second-1)/time.Second))
	return p.WithHeader("Retry-After", strconv.FormatInt(seconds, 10))
}

// Status returns the HTTP status for the problem's code.
func (p *Problem) Status() int { return statusOf(p.Code) }

// Error returns the code, the detail and the cause, for the log.
func (p *Problem) Error() string {
	text := string(p.Code)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.Err != nil {
		text += ": " + p.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// AsProblem returns the problem in the chain of err. Any other error becomes an internal
// error, so that its text is logged and not sent.
func AsProblem(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return NewProblem(CodeTooLarge, "the request body is over its limit of "+
			strconv.FormatInt(tooLarge.Limit, 10)+" bytes", err)
	}
	return NewProblem(CodeInternal, "an internal error occurred", err)
}

// WriteProblem responds to r with err as application/problem+json, and adds it to the
// request's log record. Every 401 has a login_url. Every error has the CORS headers, because
// not all errors pass through [Site.Guard].
func (s *Site) WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := AsProblem(err)
	noteError(r, p)
	status := p.Status()
	body := wire.Problem{
		Type:      "about:blank",
		Title:     http.StatusText(status),
		Status:    status,
		Code:      string(p.Code),
		Detail:    p.Detail,
		RequestID: RequestID(r),
	}
	if status == http.StatusUnauthorized {
		body.LoginURL = s.LoginURL(r)
	}
	h := w.Header()
	for key, values := range p.Header {
		h[key] = append(h[key], values...)
	}
	h.Del("ETag")
	h.Del("Last-Modified")
	h.Del("Content-Encoding")
	setOwnHeaders(h)
	s.allowOrigin(h, r)
	writeJSON(w, r, status, "application/problem+json", body)
}

// ErrorHeader is the header with the code of an error response that has no body.
const ErrorHeader = "X-Auth-Error"

// WriteBare responds to r with the status and the header of err, without a body, and adds
// err to the request's log record. It is for gateways, which show their clients a page of their
// own. The code is in [ErrorHeader].
func WriteBare(w http.ResponseWriter, r *http.Request, err error) {
	p := AsProblem(err)
	noteError(r, p)
	h := w.Header()
	for key, values := range p.Header {
		h[key] = append(h[key], values...)
	}
	h.Set("Cache-Control", "no-store")
	h.Set(ErrorHeader, string(p.Code))
	h.Set("Content-Length", "0")
	status := p.Status()
	if p.Code == CodeUserChanged {
		status = http.StatusForbidden // nginx takes 401 and 403 only for a refusal, and others for a failure
	}
	w.WriteHeader(status)
}

// WriteJSON responds with value as application/json and Cache-Control: no-store.
func WriteJSON(w http.ResponseWriter, r *http.Request, status int, value any) {
	writeJSON(w, r, status, "application/json", value)
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, contentType string, value any) {
	// Encoding comes before the status, so that an error can still be reported.
	body, err := json.Marshal(value)
	if err != nil {
		noteError(r, NewProblem(CodeInternal, "", err))
		status, body = http.StatusInternalServerError, []byte(`{"type":"about:blank","status":500,"code":"internal_error"}`)
		contentType = "application/problem+json"
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

package tokenhandler

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/web"
)

// The error codes of failed logins besides those of package web.
const (
	codeAccessDenied  = "access_denied"
	codeLoginFailed   = "login_failed"
	codeLoginRequired = "login_required"
	// codeUserDisabled, codeTriggerRefused and codeAccountLinked are reasons that only
	// the provider's description tells apart.
	codeUserDisabled   = "user_disabled"
	codeTriggerRefused = "trigger_refused"
	codeAccountLinked  = "account_linked"
)

// refused answers a callback with the provider's error for a known login.
func (h *loginHandler) refused(w http.ResponseWriter, r *http.Request, l login, code, description string) error {
	cause := fmt.Errorf("the provider answered %s", knownError(code))
	f := failure{code: loginCode(code), outcome: refusalOutcome(code), login: l, err: cause, description: oneLine(description, maxDescription)}
	if h.cfg.LoginError == nil {
		h.fail(w, r, f)
		return nil
	}
	reason := h.cfg.LoginError(description)
	switch reason.Kind {
	case provider.AccountLinked:
		if canTryAgain(r, l) {
			return h.tryAgain(w, r, l, cause)
		}
		f.code, f.outcome = codeAccountLinked, ""
	case provider.UserDisabled:
		f.code, f.outcome = codeUserDisabled, ""
	case provider.TriggerRefused:
		f.code, f.outcome = codeTriggerRefused, ""
		if h.cfg.TriggerMessages {
			f.message = oneLine(reason.Message, maxDescription)
		}
	case provider.OtherReason:
	}
	h.fail(w, r, f)
	return nil
}

// maxDescription is the largest number of bytes of a provider's description.
const maxDescription = 300

// oneLine returns the beginning of text without characters that do not print.
func oneLine(text string, limit int) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == unicode.ReplacementChar {
			return ' '
		}
		return c
	}, text)
	for i := range text {
		if i > limit {
			return strings.ToValidUTF8(text[:limit], "") + "…"
		}
	}
	return strings.TrimSpace(text)
}

// exchangeCode returns the error code for an error of [Provider.Exchange].
func exchangeCode(err error) string {
	if p := providerProblem(err); p.Code != web.CodeProviderError {
		return string(p.Code)
	}
	if errors.Is(err, provider.ErrRejected) {
		return codeLoginFailed
	}
	return string(web.CodeProviderError)
}

// exchangeOutcome is the outcome in the metric for an error of [Provider.Exchange], or ""
// if it is the code.
func exchangeOutcome(err error) string {
	switch {
	case errors.Is(err, provider.ErrRejected):
		return outcomeRefused
	case errors.Is(err, provider.ErrInvalidResponse):
		return outcomeUnverified
	}
	return ""
}

// refusalOutcome is the outcome in the metric for one of the provider's error codes, or
// "" if it is the service's code.
func refusalOutcome(code string) string {
	if loginCode(code) == codeLoginFailed {
		return outcomeRefused
	}
	return ""
}

// knownError returns code if it is an error code of the authorization response (RFC
// 6749 §4.1.2.1, OpenID Connect Core 1.0 §3.1.2.6). Anything else may be text of an
// attacker's.
func knownError(code string) string {
	switch code {
	case "access_denied", "invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope",
		"server_error", "temporarily_unavailable", "login_required", "interaction_required",
		"consent_required", "account_selection_required":
		return code
	}
	return "an unknown error"
}

// loginCode returns the service's error code for one of the provider's.
func loginCode(code string) string {
	switch code {
	case "access_denied":
		return codeAccessDenied
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return codeLoginRequired // the answers to prompt=none
	case "temporarily_unavailable":
		return string(web.CodeProviderUnavailable)
	case "server_error", "unauthorized_client", "unsupported_response_type", "invalid_scope":
		return string(web.CodeProviderError) // the user can do nothing about them
	}
	return codeLoginFailed
}

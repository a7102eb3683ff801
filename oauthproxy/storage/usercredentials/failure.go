package usercredentials

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"cognito-token-handler/tokenhandler/web"
)

// retryAfter is what a client is told to wait if another try may help.
const retryAfter = 5 * time.Second

// callError is why there are no credentials for a user.
type callError struct {
	error

	outcome string
	// ofToken means that another ID token may be accepted.
	ofToken bool
}

// Unwrap returns the error of the call.
func (e *callError) Unwrap() error { return e.error }

// callErrorOf finds out what the error of a call means.
func callErrorOf(err error) *callError {
	e := &callError{error: fmt.Errorf("getting the user's credentials: %w", err), outcome: outcomeUnavailable}
	code, status := "", 0
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		status = response.HTTPStatusCode()
	}
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	switch {
	case errors.Is(err, errNoIDToken) || isOfToken(code):
		e.outcome, e.ofToken = outcomeRefused, true
	case throttled || status == http.StatusTooManyRequests:
		e.outcome = outcomeRateLimited
	case errors.Is(err, context.DeadlineExceeded):
		e.outcome = outcomeTimeout
	case code == "IDPCommunicationError" || code == "ExternalServiceException":
		// STS or the identity pool has not reached the provider's keys.
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		e.outcome = outcomeRefused
	}
	return e
}

// isOfToken reports whether a code of STS or of an identity pool is about the ID token.
func isOfToken(code string) bool {
	return slices.Contains([]string{"ExpiredTokenException", "InvalidIdentityToken", "IDPRejectedClaim", "NotAuthorizedException"}, code)
}

// problem returns the answer to the client. Nothing of the error's text is in it.
func (e *callError) problem() *web.Problem {
	switch e.outcome {
	case outcomeRateLimited:
		return web.NewProblem(web.CodeRateLimited, "the storage is busy; try again later", e).RetryAfter(retryAfter).By(web.LimitStorage)
	case outcomeTimeout:
		return web.NewProblem(web.CodeUpstreamTimeout, "the storage credentials took too long to arrive; try again later", e).RetryAfter(retryAfter)
	case outcomeUnavailable:
		return web.NewProblem(web.CodeUpstreamError, "the storage credentials are unavailable; try again later", e).RetryAfter(retryAfter)
	}
	return web.NewProblem(web.CodeUpstreamError, "the storage credentials are refused", e)
}

package oauthproxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"cognito-token-handler/tokenhandler/secret"
)

// send makes the request and, if the upstream refuses the token and the request
// can be sent again, makes it once more with another one. An upstream knows
// sooner than we do when a key was changed or a user was signed out.
func (c *call) send(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	answer, err := next.RoundTrip(r)
	if err != nil || answer.StatusCode != http.StatusUnauthorized || c.token().IsZero() || !c.replayable(r.Method) {
		return answer, err
	}
	retries := c.handler.metrics.Retries.MustCurryWith(map[string]string{"route": c.route.Path})
	if !c.renew(r.Context()) {
		retries.WithLabelValues("not_renewed").Inc()
		return answer, nil
	}
	again := r.Clone(r.Context())
	again.Header.Set("Authorization", "Bearer "+c.token().Reveal())
	switch {
	case c.kept != nil:
		again.Body = io.NopCloser(bytes.NewReader(c.kept))
	case c.body != nil:
		again.Body = c.body // r's was closed with the first try
	}
	_ = answer.Body.Close()
	c.resent++
	answer, err = next.RoundTrip(again)
	switch {
	case err != nil:
		retries.WithLabelValues("failed").Inc()
		return nil, err
	case answer.StatusCode == http.StatusUnauthorized:
		retries.WithLabelValues("refused").Inc()
	default:
		retries.WithLabelValues("ok").Inc()
	}
	answer.Request = r // it carries the call
	return answer, nil
}

// renew gets another token, if there is one with which the route is still open. The
// upstream's time-out does not run meanwhile.
func (c *call) renew(ctx context.Context) bool {
	if c.timer.Stop() {
		defer c.timer.Reset(c.route.Timeout)
	}
	refused := c.token()
	return c.grant.Renew(ctx) == nil && !c.token().Equal(refused) && c.permitted()
}

// token is what the upstream gets; empty if nothing.
func (c *call) token() secret.String {
	switch {
	case c.grant == nil:
		return secret.String{}
	case c.route.Token == TokenID:
		return c.grant.IDToken()
	case c.route.Token == TokenAccess:
		return c.grant.AccessToken()
	}
	return secret.String{}
}

// replayable reports whether the request can be sent again: there is no body,
// nobody has begun to read it, or all of it was kept.
func (c *call) replayable(method string) bool {
	return c.body == nil || !c.body.read.Load() || c.kept != nil && isIdempotent(method)
}

// isIdempotent tells the methods of which two requests do what one does (RFC
// 9110 §9.2.2).
func isIdempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// keepBody reads the whole body, if it is short and may have to be sent again.
func (c *call) keepBody(r *http.Request) error {
	if r.ContentLength <= 0 || r.ContentLength > c.route.ReplayBody || !isIdempotent(r.Method) {
		return nil
	}
	kept := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(c.body, kept); err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	c.kept = kept
	r.Body = io.NopCloser(bytes.NewReader(kept))
	return nil
}

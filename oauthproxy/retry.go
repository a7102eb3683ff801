package oauthproxy

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// send sends out to the upstream. If the upstream refuses the token with 401 and the
// request can be sent again, it renews the token and sends the request once more: an
// upstream may know sooner than the proxy that a key was changed or a user was signed
// out.
func (c *call) send(out *http.Request) (*http.Response, error) {
	response, err := c.route.transport.RoundTrip(out)
	if err != nil || response.StatusCode != http.StatusUnauthorized || c.token().IsZero() || !c.canSendAgain() {
		return response, err
	}
	outcomes := c.handler.metrics.Retries.MustCurryWith(prometheus.Labels{"route": c.route.Path})
	if !c.renewToken(out.Context()) {
		outcomes.WithLabelValues(retryNotRenewed).Inc()
		return response, nil
	}
	again := out.Clone(out.Context())
	again.Header.Set("Authorization", c.token().Bearer())
	switch {
	case c.kept != nil:
		again.Body, _ = again.GetBody()
	case c.body != nil:
		body := c.body.again()
		if body == nil {
			return response, nil
		}
		c.body, again.Body = body, body
	}
	_ = response.Body.Close()
	c.resent++
	response, err = c.route.transport.RoundTrip(again)
	switch {
	case err != nil:
		outcomes.WithLabelValues(retryFailed).Inc()
		return nil, err
	case response.StatusCode == http.StatusUnauthorized:
		outcomes.WithLabelValues(retryRefused).Inc()
	default:
		outcomes.WithLabelValues(retryOK).Inc()
	}
	return response, nil
}

// renewToken reports whether there is another token now, with which the route is
// still open to the user. The route's time-out does not run meanwhile.
func (c *call) renewToken(ctx context.Context) bool {
	if c.timeout.stop() {
		defer c.timeout.restart()
	}
	refused := c.token()
	return c.grant.Renew(ctx) == nil && !c.token().Equal(refused) && c.isPermitted()
}

// canSendAgain reports whether the request has no body, nothing has been read from its
// body, or the whole body was kept.
func (c *call) canSendAgain() bool {
	return c.body == nil || c.body.state.Load() == bodyUnread || c.kept != nil && isIdempotent(c.client.Method)
}

// isIdempotent reports whether sending a request twice has the same effect as sending
// it once (RFC 9110 §9.2.2).
func isIdempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

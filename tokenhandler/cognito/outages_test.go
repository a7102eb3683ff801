package cognito_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// kinds maps the outages of the token endpoint to the kinds of their errors.
var kinds = map[string]error{
	"hang":              provider.ErrUnavailable,
	"connection-reset":  provider.ErrUnavailable,
	"html-200":          provider.ErrInvalidResponse,
	"html-500":          provider.ErrUnavailable,
	"html-502":          provider.ErrUnavailable,
	"rate-exceeded-429": provider.ErrRateLimited,
	"json-500":          provider.ErrUnavailable,
	"json-503":          provider.ErrUnavailable,
	"waf-403":           provider.ErrInvalidResponse,
	"empty-200":         provider.ErrInvalidResponse,
	"json-null":         provider.ErrInvalidResponse,
	"json-array":        provider.ErrInvalidResponse,
	"truncated-json":    provider.ErrInvalidResponse,
	"cut-off":           provider.ErrUnavailable,
	"oversize":          provider.ErrInvalidResponse,
	"redirect-307":      provider.ErrInvalidResponse,

	"invalid_grant":           provider.ErrRejected,
	"invalid_client":          provider.ErrMisconfigured,
	"invalid_request":         provider.ErrMisconfigured,
	"unauthorized_client":     provider.ErrMisconfigured,
	"unsupported_grant_type":  provider.ErrMisconfigured,
	"temporarily_unavailable": provider.ErrUnavailable,
	"missing-access-token":    provider.ErrInvalidResponse,
	"empty-access-token":      provider.ErrInvalidResponse,
	"numeric-access-token":    provider.ErrInvalidResponse,
	"wrong-token-type":        provider.ErrInvalidResponse,
	"missing-token-type":      provider.ErrInvalidResponse,
	"missing-expires-in":      provider.ErrInvalidResponse,
	"negative-expires-in":     provider.ErrInvalidResponse,
	"string-expires-in":       provider.ErrInvalidResponse,
	"huge-expires-in":         provider.ErrInvalidResponse,
	"invalid-grant-with-200":  provider.ErrInvalidResponse,

	// These are not in the tables of cognitotest.
	"server_error":           provider.ErrUnavailable,
	"invalid_scope":          provider.ErrMisconfigured,
	"access_denied":          provider.ErrMisconfigured,
	"unsupported_token_type": provider.ErrMisconfigured,
	cognitotest.Canary:       provider.ErrMisconfigured,
}

// kindAtRefresh is the kind of the error of a refresh. Providers do not agree on the answer
// to a dead refresh token, and a firewall is no provider.
func kindAtRefresh(outage string) error {
	switch kind := kinds[outage]; {
	case outage == "waf-403":
		return provider.ErrUnavailable
	case errors.Is(kind, provider.ErrMisconfigured) && outage != "invalid_client":
		return provider.ErrRefused
	default:
		return kind
	}
}

func tokenOutages(tb testing.TB) []cognitotest.Outage {
	tb.Helper()
	all := append([]cognitotest.Outage{}, cognitotest.Outages...)
	all = append(all, cognitotest.TokenOutages...)
	for _, code := range []string{"server_error", "invalid_scope", "access_denied", "unsupported_token_type", cognitotest.Canary} {
		all = append(all, cognitotest.OAuthError(code))
	}
	if len(all) < 37 {
		tb.Fatalf("%d outages, want at least 37", len(all))
	}
	return all
}

// during runs test with a party that is not connected, for an outage. An endpoint that
// hangs or is asked again delays nothing, because it does so in synthetic time.
func during(t *testing.T, o cognitotest.Outage, test func(t *testing.T, p *party), edits ...func(*cognito.Config)) {
	t.Helper()
	if o.Hangs || o.Limits {
		inBubbleFirst(t, cognitotest.Options{}, func(t *testing.T, c *crowd) { test(t, c.party) }, edits...)
		return
	}
	test(t, newParty(t, cognitotest.Options{}, edits...))
}

// duringConnected is [during] with a connected party.
func duringConnected(t *testing.T, o cognitotest.Outage, test func(t *testing.T, p *party), edits ...func(*cognito.Config)) {
	t.Helper()
	during(t, o, func(t *testing.T, p *party) {
		if err := p.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, p)
	}, edits...)
}

func TestTokenEndpointOutages(t *testing.T) {
	t.Parallel()
	for _, o := range tokenOutages(t) {
		want, ok := kinds[o.Name]
		if !ok {
			t.Errorf("no kind is known for %s", o.Name)
		}
		t.Run(o.Name, func(t *testing.T) {
			t.Parallel()
			duringConnected(t, o, func(t *testing.T, p *party) { wantTokenOutage(t, p, o, want) })
		})
	}
}

// wantTokenOutage checks a refresh and a login during an outage of the token endpoint, whose
// error is of the kind want.
func wantTokenOutage(t *testing.T, p *party, o cognitotest.Outage, want error) {
	t.Helper()
	previous := p.mustLogin()
	p.pool.Break(cognitotest.TokenAny, o, 0)

	check := func(op string, tokens secret.Tokens, err, want error) {
		t.Helper()
		if o.MayAccept && err == nil {
			if left := tokens.AccessExpires.Sub(p.clock.Now()); left < 0 || left > time.Hour {
				t.Errorf("%s: the access token lives for %s", op, left)
			}
			return
		}
		failed := p.failure(err, want)
		if errors.Is(failed, provider.ErrRejected) != o.EndsSession {
			t.Errorf("%s: ends the session: %v, want %v", op, errors.Is(failed, provider.ErrRejected), o.EndsSession)
		}
		if tokens != (secret.Tokens{}) {
			t.Errorf("%s: tokens came with the error", op)
		}
		if (provider.RetryAfter(failed) > 0) != errors.Is(failed, provider.ErrUnavailable) {
			t.Errorf("%s: retry after %s", op, provider.RetryAfter(failed))
		}
	}
	tokens, err := p.Refresh(t.Context(), previous)
	check("refresh", tokens, err, kindAtRefresh(o.Name))
	p.wantNoLeak(err, previous.Refresh, previous.Access, previous.ID)
	tokens, err = p.login()
	check("exchange", tokens, err, want)

	// A second request would use up the grant (golang/oauth2#718).
	if n, m := p.pool.Count(cognitotest.TokenRefresh), p.pool.Count(cognitotest.TokenCode); !o.Limits && (n != 1 || m != 2) {
		t.Errorf("%d refreshes and %d exchanges, want 1 and 2", n, m)
	}
	if n := p.pool.Count(cognitotest.Elsewhere); n != 0 {
		t.Error("a redirect was followed")
	}
	p.pool.Mend(cognitotest.TokenAny)
	if !o.Limits { // a pause may not be over
		p.mustLogin()
	}
}

func TestRevocationOutages(t *testing.T) {
	t.Parallel()
	for _, o := range tokenOutages(t) {
		if want := kinds[o.Name]; !errors.Is(want, provider.ErrInvalidResponse) { // with 200 it is done, whatever the body
			t.Run(o.Name, func(t *testing.T) {
				t.Parallel()
				duringConnected(t, o, func(t *testing.T, p *party) {
					tokens := p.mustLogin()
					p.pool.Break(cognitotest.Revoke, o, 0)
					p.wantKind(p.Revoke(t.Context(), tokens.Refresh), want)
				})
			})
		}
	}
}

func TestErrorsNameTheRequestForTheSupport(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	p.pool.Break(cognitotest.TokenAny, cognitotest.OAuthError("invalid_grant"), 0)
	_, err := p.login()
	failed := p.failure(err, provider.ErrRejected)
	if failed.Status != http.StatusBadRequest || failed.Code != "invalid_grant" || failed.RequestID == "" {
		t.Errorf("status %d, code %q, request id %q", failed.Status, failed.Code, failed.RequestID)
	}
	want := "redeeming the code: the provider refused the grant (status 400, invalid_grant, \"[removed]\", request id " + failed.RequestID + ")"
	if err.Error() != want {
		t.Errorf("%q, want %q", err.Error(), want)
	}

	p.pool.Break(cognitotest.TokenAny, cognitotest.OAuthError("code\nwith a line "+cognitotest.Canary), 0)
	_, err = p.login()
	if failed := p.failure(err, provider.ErrMisconfigured); failed.Code != "other" {
		t.Errorf("code %q, want other", failed.Code)
	}
}

// answering returns a party whose token endpoint is h.
func answering(t *testing.T, h http.HandlerFunc) *party {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return connectedParty(t, cognitotest.Options{}, func(cfg *cognito.Config) { cfg.Endpoints.Token = server.URL + "/token" })
}

// Text of the status line and of headers must not reach the log.
func TestProviderTextInOddPlaces(t *testing.T) {
	odd := map[string]http.HandlerFunc{
		"request id": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Cognito-Request-Id", cognitotest.Canary+" with spaces")
			w.WriteHeader(http.StatusBadRequest)
		},
		"form-encoded error": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, "error=%[1]s&error_description=%[1]s", cognitotest.Canary)
		},
		"malformed form": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = fmt.Fprintf(w, "access_token=%%zz%s", cognitotest.Canary)
		},
		"malformed header": func(w http.ResponseWriter, _ *http.Request) {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(buffered, "HTTP/1.1 %s\r\n\r\n", cognitotest.Canary)
			_ = buffered.Flush()
			_ = conn.Close()
		},
	}
	for name, h := range odd {
		t.Run(name, func(t *testing.T) {
			p := answering(t, h)
			_, err := p.login()
			if err == nil {
				t.Fatal("accepted")
			}
			p.wantNoLeak(err)
		})
	}
}

// Auth0 and others refuse a grant with 401 or 403. A 5xx is an outage whatever its
// body says.
func TestInvalidGrantByStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{
		400: provider.ErrRejected, 401: provider.ErrRejected, 403: provider.ErrRejected,
		200: provider.ErrInvalidResponse, 302: provider.ErrInvalidResponse, 429: provider.ErrUnavailable, 500: provider.ErrUnavailable, 503: provider.ErrUnavailable,
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			o := cognitotest.Text("status", status, "application/json", `{"error":"invalid_grant"}`)
			o.Limits = status == http.StatusTooManyRequests
			duringConnected(t, o, func(t *testing.T, p *party) {
				previous := p.mustLogin()
				p.pool.Break(cognitotest.TokenAny, o, 0)
				_, err := p.Refresh(t.Context(), previous)
				p.wantKind(err, want)
			})
		})
	}
}

// stalling is a body that hangs in its middle, until its request is over.
type stalling struct {
	io.Reader

	ctx context.Context // of the request
}

// Read implements [io.Reader].
func (s stalling) Read(p []byte) (int, error) {
	if n, err := s.Reader.Read(p); err == nil {
		return n, nil
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// An answer that hangs in its middle is an outage and no invalid response.
func TestAnswerThatStallsInItsBody(t *testing.T) {
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		grant := c.grant()
		c.SetTransport(roundTrip(func(r *http.Request) *http.Response {
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: -1,
				Body: io.NopCloser(stalling{strings.NewReader(`{"access_token":"eyJ`), r.Context()}),
			}
		}))
		start := time.Now()
		_, err := c.Exchange(t.Context(), grant)
		c.wantKind(err, provider.ErrUnavailable)
		if took := time.Since(start); took != c.cfg.Timeout {
			t.Errorf("it took %s, want %s", took, c.cfg.Timeout)
		}
	})
}

func TestCallerThatLeaves(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	previous := p.mustLogin()
	gate := p.pool.Hold(cognitotest.TokenRefresh)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := p.Refresh(ctx, previous)
		failed <- err
	}()
	gate.Await(t, 1)
	cancel()
	p.wantKind(<-failed, provider.ErrUnavailable)
}

func TestSessionWithoutARefreshToken(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	previous := p.mustLogin()
	previous.Refresh = secret.String{}
	_, err := p.Refresh(t.Context(), previous)
	p.wantKind(err, provider.ErrRejected)
	if err := p.Revoke(t.Context(), previous.Refresh); err != nil {
		t.Errorf("nothing to revoke: %v", err)
	}
	if n := p.pool.Count(cognitotest.TokenRefresh) + p.pool.Count(cognitotest.Revoke); n != 0 {
		t.Errorf("%d requests, want 0", n)
	}
}

package provider_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/provider"
)

// TestKinds checks that an error, also one that was wrapped, is of its own kind
// and of no other. Only rate-limited and unverified errors are of two kinds.
func TestKinds(t *testing.T) {
	kinds := []error{
		provider.ErrRejected, provider.ErrUnavailable, provider.ErrRateLimited,
		provider.ErrInvalidResponse, provider.ErrMisconfigured, provider.ErrUnverified, provider.ErrRefused,
	}
	const unavailable, rateLimited, invalid, unverified = 1, 2, 3, 5
	for i, kind := range kinds {
		err := fmt.Errorf("refreshing: %w", &provider.Error{Op: "calling", Kind: kind, Reason: "it failed"})
		for j, other := range kinds {
			want := i == j || i == rateLimited && j == unavailable || i == unverified && j == invalid
			if got := errors.Is(err, other); got != want {
				t.Errorf("a %q error is %q: %v, want %v", kind, other, got, want)
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	for want, err := range map[string]*provider.Error{
		"redeeming the code: it failed":                                                  {},
		"redeeming the code: it failed (status 502)":                                     {Status: 502},
		"redeeming the code: it failed (status 400, invalid_grant)":                      {Status: 400, Code: "invalid_grant"},
		"redeeming the code: it failed (status 400, invalid_client, request id 0a-b)":    {Status: 400, Code: "invalid_client", RequestID: "0a-b"},
		`redeeming the code: it failed (status 400, invalid_grant, "code expired")`:      {Status: 400, Code: "invalid_grant", Description: `"code expired"`},
		"redeeming the code: it failed (status 503, request id 0123456789abcdef-abcdef)": {Status: 503, RequestID: "0123456789abcdef-abcdef"},
	} {
		err.Op, err.Reason, err.Kind = "redeeming the code", "it failed", provider.ErrInvalidResponse
		if got := err.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	const asked = 7 * time.Second
	for name, c := range map[string]struct {
		err  error
		want time.Duration
	}{
		"no error":            {nil, 0},
		"another error":       {errors.New("no network"), 0},
		"the kind alone":      {provider.ErrUnavailable, 0},
		"rejected":            {&provider.Error{Kind: provider.ErrRejected, RetryAfter: asked}, 0},
		"invalid response":    {&provider.Error{Kind: provider.ErrInvalidResponse, RetryAfter: asked}, 0},
		"unavailable":         {&provider.Error{Kind: provider.ErrUnavailable}, time.Second},
		"unavailable, asked":  {&provider.Error{Kind: provider.ErrUnavailable, RetryAfter: asked}, asked},
		"rate limited, asked": {&provider.Error{Kind: provider.ErrRateLimited, RetryAfter: asked}, asked},
		"shorter than a second, wrapped": {
			fmt.Errorf("refreshing: %w", &provider.Error{Kind: provider.ErrRateLimited, RetryAfter: time.Millisecond}), time.Second,
		},
	} {
		if got := provider.RetryAfter(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

package cognito_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/provider"
)

// scripted is a transport on which a handler answers the endpoint whose URL ends so.
type scripted struct {
	http.RoundTripper

	end     string
	handler http.HandlerFunc
}

// RoundTrip implements [http.RoundTripper].
func (s scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, s.end) {
		return s.RoundTripper.RoundTrip(r)
	}
	w := httptest.NewRecorder()
	s.handler(w, r)
	return w.Result(), nil
}

// wantLoginLater checks the error of a login for calls that h may refuse until the time-out:
// it says when to try again, or, if after is 0, that the answer is invalid.
func wantLoginLater(t *testing.T, h http.HandlerFunc, after time.Duration) {
	t.Helper()
	inBubble(t, cognitotest.Options{}, func(t *testing.T, c *crowd) {
		c.SetTransport(scripted{c.pool.Transport(), "/token", h})
		want := provider.ErrUnavailable
		if after == 0 {
			want = provider.ErrInvalidResponse
		}
		_, err := c.login()
		if failed := c.failure(err, want); provider.RetryAfter(failed) != after {
			t.Errorf("retry after %s, want %s", provider.RetryAfter(failed), after)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header string
		status       int
		want         time.Duration
	}{
		{"without", "", 429, time.Second},
		{"seconds", "7", 429, 7 * time.Second},
		{"503", "7", 503, 7 * time.Second},
		{"zero", "0", 429, time.Second},
		{"negative", "-5", 429, time.Second},
		{"absurd", "999999999999", 429, time.Hour},
		{"a day", "86400", 429, time.Hour},
		{"no number", cognitotest.Canary, 429, time.Second},
		{"not a passing failure", "7", 403, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wantLoginLater(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte("Rate exceeded " + cognitotest.Canary))
			}, c.want)
		})
	}
}

// TestRetryAfterAsADate checks the other form of Retry-After (RFC 9110 §10.2.3), at a
// provider whose clock differs from this machine's, and at one that does not tell the time.
func TestRetryAfterAsADate(t *testing.T) {
	t.Parallel()
	noon := time.Date(2031, 3, 4, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		after  time.Duration
		format string
		date   bool // whether the answer has Date
		status int
		want   time.Duration
	}{
		"in seven seconds":     {7 * time.Second, http.TimeFormat, true, 429, 7 * time.Second},
		"503":                  {7 * time.Second, http.TimeFormat, true, 503, 7 * time.Second},
		"as RFC 850":           {90 * time.Second, "Monday, 02-Jan-06 15:04:05 GMT", true, 429, 90 * time.Second},
		"as asctime":           {90 * time.Second, time.ANSIC, true, 429, 90 * time.Second},
		"now":                  {0, http.TimeFormat, true, 429, time.Second},
		"in the past":          {-time.Hour, http.TimeFormat, true, 429, time.Second},
		"next year":            {365 * 24 * time.Hour, http.TimeFormat, true, 429, time.Hour},
		"in another form":      {time.Minute, time.RFC3339, true, 429, time.Second},
		"without Date":         {7 * time.Second, http.TimeFormat, false, 429, 7 * time.Second},
		"a century, no Date":   {100 * 365 * 24 * time.Hour, http.TimeFormat, false, 429, time.Hour},
		"no passing failure":   {7 * time.Second, http.TimeFormat, true, 403, 0},
		"in the past, no Date": {-time.Hour, http.TimeFormat, false, 503, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantLoginLater(t, func(w http.ResponseWriter, _ *http.Request) {
				now := noon
				w.Header().Set("Date", now.Format(http.TimeFormat))
				if !c.date {
					now, w.Header()["Date"] = time.Now().Truncate(time.Second), nil
				}
				w.Header().Set("Retry-After", now.Add(c.after).UTC().Format(c.format))
				w.WriteHeader(c.status)
			}, c.want)
		})
	}
}

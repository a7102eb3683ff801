package chaos

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
)

// TestHeldCallOfADeadReplicaIsDropped: a call that is held when its replica is killed
// must not rotate the refresh token, because nobody would get the new one.
func TestHeldCallOfADeadReplicaIsDropped(t *testing.T) {
	pool := cognitotest.New(t, cognitotest.Options{Rotation: true})
	f, err := newFront("a1", pool, newLedger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	f.hold()
	for _, gone := range []bool{true, false} { // the client leaves before calls pass, and after
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		failed := make(chan error)
		go func() { failed <- refresh(ctx, f) }()
		if gone {
			if !until(t.Context(), answerTime, func() bool { held, _, _ := f.state(); return held == 1 }) {
				t.Fatal("the call is not held")
			}
			leave()
			if !until(t.Context(), answerTime, func() bool { held, _, _ := f.state(); return held == 0 }) {
				t.Fatal("a call without a client is still held")
			}
			f.die()
		}
		if err := <-failed; err == nil {
			t.Error("the call was answered")
		}
	}
	if n := pool.Count(cognitotest.TokenRefresh); n != 0 {
		t.Errorf("the provider saw %d calls", n)
	}
}

func refresh(ctx context.Context, f *front) error {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"some-token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := (&http.Client{}).Do(r)
	if err != nil {
		return err
	}
	return errors.Join(answer.Body.Close(), nil)
}

// TestWhatCountsAsAnExpiry: the first call after a token was due, and no other.
func TestWhatCountsAsAnExpiry(t *testing.T) {
	begun := time.Unix(1_700_000_000, 0)
	for name, c := range map[string]struct {
		calls []call
		want  tally
	}{
		"one each":       {[]call{{generation: 1, status: statusOK}, {generation: 2, status: statusOK}}, tally{calls: 2, due: 2}},
		"the same twice": {[]call{{generation: 1, status: statusOK}, {generation: 1, status: statusBad}}, tally{calls: 2, due: 1, reuse: 1}},
		"one too early":  {[]call{{generation: 1, status: statusOK}, {generation: 2, status: statusOK, early: true}}, tally{calls: 2, due: 1}},
		"one excluded":   {[]call{{generation: 1, status: statusOK, at: begun}, {generation: 2, status: statusOK}}, tally{calls: 1, due: 1}},
	} {
		l := newLedger()
		l.calls = c.calls
		if got := l.count(func(c call) bool { return c.at.Equal(begun) }); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

package usercredentials_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/oauthproxy/storage/usercredentials"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// TestCredentialsAreKept until 6 minutes before their end, for each user.
func TestCredentialsAreKept(t *testing.T) {
	clock := testkit.NewClock(noon)
	source := &issuer{now: clock.Now}
	c := newCache(t, source.issue, clock.Now)
	for range 3 {
		mustGet(t, c, &user{subject: "a"})
		mustGet(t, c, &user{subject: "b"})
	}
	clock.Advance(54*time.Minute - time.Second)
	mustGet(t, c, &user{subject: "a"})
	if got := source.count(); got != 2 {
		t.Errorf("%d calls, want 2", got)
	}
	if source.last.Identity != "" {
		t.Errorf("the first call had the identity %q", source.last.Identity)
	}
	clock.Advance(time.Second)
	if got := mustGet(t, c, &user{subject: "a"}); !got.Expires.Equal(noon.Add(54*time.Minute + time.Hour)) {
		t.Errorf("the new ones end at %s", got.Expires)
	}
	if got := source.count(); got != 3 || source.last.Identity != "id-of-a" {
		t.Errorf("%d calls, the last for the identity %q", got, source.last.Identity)
	}
}

// TestShortCredentialsAreKept for half of their life: without that, those which live
// shorter than presigned URLs would be fetched for every request.
func TestShortCredentialsAreKept(t *testing.T) {
	clock := testkit.NewClock(noon)
	source := &issuer{now: clock.Now, life: 4 * time.Minute}
	c := newCache(t, source.issue, clock.Now)
	mustGet(t, c, &user{subject: "a"})
	clock.Advance(2*time.Minute - time.Second)
	mustGet(t, c, &user{subject: "a"})
	if got := source.count(); got != 1 {
		t.Errorf("%d calls, want 1", got)
	}
	clock.Advance(time.Second)
	mustGet(t, c, &user{subject: "a"})
	if got := source.count(); got != 2 {
		t.Errorf("%d calls, want 2", got)
	}
}

// TestOneCallPerUserAtATime: requests of a user wait for the same call, which goes on if
// the request that began it ends.
func TestOneCallPerUserAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		source := &issuer{now: time.Now, wait: func(ctx context.Context) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		c := newCache(t, source.issue, time.Now)
		first, leave := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := c.For(first, &user{subject: "a"}); !errors.Is(err, context.Canceled) {
				t.Errorf("the request that ended got %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			waiting.Go(func() {
				if got, err := c.For(t.Context(), &user{subject: "a"}); err != nil || got.AccessKeyID != "ASIA-a" {
					t.Errorf("got %q, %v", got.AccessKeyID, err)
				}
			})
		}
		waiting.Go(func() {
			if got, err := c.For(t.Context(), &user{subject: "b"}); err != nil || got.AccessKeyID != "ASIA-b" {
				t.Errorf("the other user got %q, %v", got.AccessKeyID, err)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(release)
		waiting.Wait()
		if got := source.count(); got != 2 {
			t.Errorf("%d calls for two users", got)
		}
	})
}

// TestCallsEnd: a call that hangs is given up, so that the next request makes another.
func TestCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{now: time.Now, wait: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		c := newCache(t, source.issue, time.Now)
		begun := time.Now()
		_, err := c.For(t.Context(), &user{subject: "a"})
		if p := web.AsProblem(err); p.Code != web.CodeUpstreamTimeout || time.Since(begun) != 9*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// TestEndOfTheSessionDropsCredentials: a logout, or a revocation, ends what was got with
// the session, also if it comes while the call is under way.
func TestEndOfTheSessionDropsCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{now: time.Now}
		c := newCache(t, source.issue, time.Now)
		alive, end := context.WithCancel(t.Context())
		mustGet(t, c, &user{subject: "a", ended: alive})
		mustGet(t, c, &user{subject: "b"})
		end()
		synctest.Wait()
		mustGet(t, c, &user{subject: "a", ended: alive}) // has ended already
		synctest.Wait()
		mustGet(t, c, &user{subject: "a"})
		mustGet(t, c, &user{subject: "a"})
		mustGet(t, c, &user{subject: "b"})
		if got := source.count(); got != 4 {
			t.Errorf("%d calls, want 4", got)
		}
	})
}

// TestOldSessionsDropNothingNew: the end of the session with which the credentials before
// were got leaves the newer ones.
func TestOldSessionsDropNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &issuer{now: time.Now}
		c := newCache(t, source.issue, time.Now)
		alive, end := context.WithCancel(t.Context())
		mustGet(t, c, &user{subject: "a", ended: alive})
		time.Sleep(55 * time.Minute) // of the bubble
		mustGet(t, c, &user{subject: "a"})
		end()
		synctest.Wait()
		mustGet(t, c, &user{subject: "a"})
		if got := source.count(); got != 2 {
			t.Errorf("%d calls, want 2", got)
		}
	})
}

// TestNumberIsBounded: those that were used the longest time ago go first.
func TestNumberIsBounded(t *testing.T) {
	clock := testkit.NewClock(noon)
	source := &issuer{now: clock.Now}
	c := newCache(t, source.issue, clock.Now, func(cfg *usercredentials.Config) { cfg.MaxUsers = 3 })
	for i := range 3 {
		mustGet(t, c, &user{subject: fmt.Sprint(i)})
	}
	mustGet(t, c, &user{subject: "0"})
	mustGet(t, c, &user{subject: "3"})
	for _, kept := range []string{"0", "2", "3"} {
		mustGet(t, c, &user{subject: kept})
	}
	if got := source.count(); got != 4 {
		t.Errorf("%d calls, want 4", got)
	}
	mustGet(t, c, &user{subject: "1"})
	if got := source.count(); got != 5 {
		t.Errorf("%d calls, want 5", got)
	}
}

var (
	errPlanted = errors.New("planted-remote-text")
	errExpired = &smithy.GenericAPIError{Code: "ExpiredTokenException", Message: "planted-remote-text"}
)

// TestOldCredentialsServeDuringAnOutage until they end, and with a pause between two
// calls. Those that are refused now are not used any more.
func TestOldCredentialsServeDuringAnOutage(t *testing.T) {
	clock := testkit.NewClock(noon)
	source := &issuer{now: clock.Now}
	c := newCache(t, source.issue, clock.Now)
	mustGet(t, c, &user{subject: "a"})
	source.fail = func(usercredentials.Holder) error { return errPlanted }
	clock.Advance(55 * time.Minute)
	for range 5 {
		mustGet(t, c, &user{subject: "a"})
	}
	if got := source.count(); got != 2 {
		t.Errorf("%d calls, want 2", got)
	}
	clock.Advance(5 * time.Second)
	mustGet(t, c, &user{subject: "a"})
	if got := source.count(); got != 3 {
		t.Errorf("%d calls, want 3", got)
	}
	source.fail = func(usercredentials.Holder) error { return errExpired }
	clock.Advance(5 * time.Second)
	if _, err := c.For(t.Context(), &user{subject: "a"}); web.AsProblem(err).Code != web.CodeUpstreamError {
		t.Errorf("refused, but got %v", err)
	}
	source.fail = func(usercredentials.Holder) error { return errPlanted }
	_, err := c.For(t.Context(), &user{subject: "a"})
	if p := web.AsProblem(err); p.Code != web.CodeUpstreamError || p.Header.Get("Retry-After") != "5" || strings.Contains(p.Detail, "planted") {
		t.Errorf("got %v", err)
	}
}

func TestExpiredCredentialsDoNotServe(t *testing.T) {
	clock := testkit.NewClock(noon)
	source := &issuer{now: clock.Now}
	c := newCache(t, source.issue, clock.Now)
	mustGet(t, c, &user{subject: "a"})
	source.fail = func(usercredentials.Holder) error { return errPlanted }
	clock.Advance(time.Hour - time.Second)
	if got, err := c.For(t.Context(), &user{subject: "a"}); err == nil {
		t.Errorf("got those that end at %s", got.Expires)
	}
}

// TestRefusedTokenIsRenewed: an ID token may end before the access token.
func TestRefusedTokenIsRenewed(t *testing.T) {
	clock := testkit.NewClock(noon)
	metrics := usercredentials.NewMetrics(nil)
	source := &issuer{now: clock.Now, fail: func(who usercredentials.Holder) error {
		if who.IDToken.Reveal() != "new" {
			return errExpired
		}
		return nil
	}}
	c := newCache(t, source.issue, clock.Now, func(cfg *usercredentials.Config) { cfg.Metrics = metrics })
	mustGet(t, c, &user{subject: "a", token: "old", renew: func() (string, error) { return "new", nil }})
	if got := source.count(); got != 2 {
		t.Errorf("%d calls, want 2", got)
	}
	ended := web.NewProblem(web.CodeSessionExpired, "the session has ended", nil)
	for name, c2 := range map[string]struct {
		renew func() (string, error)
		code  web.Code
		calls int
	}{
		"no newer one":  {func() (string, error) { return "old", nil }, web.CodeUpstreamError, 1},
		"provider down": {func() (string, error) { return "old", errPlanted }, web.CodeUpstreamError, 1},
		"session ended": {func() (string, error) { return "old", ended }, web.CodeSessionExpired, 1},
		"refused again": {func() (string, error) { return "newer", nil }, web.CodeUpstreamError, 2},
	} {
		before := source.count()
		_, err := c.For(t.Context(), &user{subject: "b", token: "old", renew: c2.renew})
		if p := web.AsProblem(err); p.Code != c2.code || p.Header.Get("Retry-After") != "" || source.count()-before != c2.calls {
			t.Errorf("%s: %v after %d calls", name, err, source.count()-before)
		}
	}
	if got := testutil.ToFloat64(metrics.Issued.WithLabelValues("web_identity", "refused")); got != 6 {
		t.Errorf("the metric counts %v refusals, want 6", got)
	}
}

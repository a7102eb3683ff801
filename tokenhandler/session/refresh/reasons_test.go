package refresh_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/test/testkit"
	contract "cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// These tests are about what operators see of refreshes, and about the checks right before
// a call to the provider.

// TestOutcomesOfRefreshesAreCounted, and whoever has to know is told of refusals.
func TestOutcomesOfRefreshesAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		fail    error
		outcome string
		told    string
	}{
		"rejected":     {&contract.Error{Kind: contract.ErrRejected}, "rejected", "ended true"},
		"refused":      {&contract.Error{Kind: contract.ErrRefused, Status: http.StatusBadRequest}, "refused", "ended false"},
		"busy":         {busyError{}, "unavailable", ""},
		"nonsense":     {errors.New("HTML"), "error", ""},
		"not allowed":  {nil, "not_allowed", ""},
		"another user": {&contract.Error{Kind: contract.ErrInvalidResponse}, "error", ""},
	} {
		var told string
		metrics := refresh.NewMetrics(nil)
		f := newFixture(t, func(s *settings) {
			s.refresh.Metrics = metrics
			s.refresh.Refused = func(_ context.Context, _ *session.Session, ended bool) { told += fmt.Sprint("ended ", ended) }
			if c.fail == nil {
				s.refresh.MayRefresh = func(context.Context) error { return errors.New("no trail") }
			}
		})
		f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) { return secret.Tokens{}, c.fail }
		err := f.mustOpen(t, f.login(t, tokens(1, f.now))).Refresh(t.Context(), refresh.OnDemand)
		if err == nil || errors.Is(err, refresh.ErrNotAllowed) != (c.fail == nil) {
			t.Errorf("%s: %v", name, err)
		}
		for _, outcome := range []string{"ok", "rotated", "rejected", "refused", "unavailable", "error", "store_unavailable", "not_allowed"} {
			if got := testutil.ToFloat64(metrics.Refreshes.WithLabelValues(outcome)); (got == 1) != (outcome == c.outcome) {
				t.Errorf("%s: %v counted as %s", name, got, outcome)
			}
		}
		if told != c.told {
			t.Errorf("%s: told %q", name, told)
		}
	}
}

// TestOutcomesOfOpeningAreCounted: requests without a cookie are not.
func TestOutcomesOfOpeningAreCounted(t *testing.T) {
	metrics, current := refresh.NewMetrics(nil), true
	f := newFixture(t, func(s *settings) {
		s.refresh.Metrics, s.refresh.DenyListCurrent = metrics, func() bool { return current }
	})
	foreign := newFixture(t, func(s *settings) {
		keys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{8}, seal.KeySize)})
		if err != nil {
			t.Fatal(err)
		}
		s.Keys = keys
	})
	short := tokens(4, f.now)
	short.RefreshExpires = f.now.Add(10 * time.Minute)
	ok, ended, rejected, expired := f.login(t, tokens(1, f.now)), f.login(t, tokens(2, f.now)), f.login(t, tokens(3, f.now)), f.login(t, short)
	f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) { return secret.Tokens{}, rejectedError{} }
	f.mustOpen(t, ended).End()
	_ = f.mustOpen(t, rejected).Refresh(t.Context(), refresh.OnDemand)
	counted := func() map[string]float64 {
		all := make(map[string]float64)
		for _, outcome := range []string{"ok", "unreadable", "unknown_key", "idle", "expired", "revoked", "too_large", "uncertain"} {
			all[outcome] = testutil.ToFloat64(metrics.Opened.WithLabelValues(outcome))
		}
		return all
	}
	for _, c := range []struct {
		outcome string
		after   time.Duration
		current bool
		jar     jar
	}{
		{"ok", 0, true, ok},
		{"", 0, true, jar{}},
		{"unreadable", 0, true, jar{sessionCookie: "1AAAA"}},
		{"unknown_key", 0, true, foreign.login(t, tokens(1, f.now))},
		{"idle", time.Hour, true, ok},
		{"expired", 10 * time.Minute, true, expired},
		{"revoked", 0, true, ended},
		{"revoked", 0, true, rejected},
		{"too_large", 0, true, jar{sessionCookie: string(bytes.Repeat([]byte{'x'}, 20000))}},
		{"uncertain", 0, false, ok},
	} {
		before, begun := counted(), f.now
		f.now, current = f.now.Add(c.after), c.current
		_, _ = f.Open(c.jar.header())
		f.now, current = begun, true
		for outcome, n := range counted() {
			if (n == before[outcome]+1) != (outcome == c.outcome) {
				t.Errorf("%q: %v counted as %s", c.outcome, n-before[outcome], outcome)
			}
		}
	}
}

// TestNewerCookieWhileTheCallIsNotYetAllowed: a process that has just started sees an older
// cookie first. While it waits for the leave to call the provider, it sees the newer one, and
// does not use the old refresh token. What it then shares is the newer generation.
func TestNewerCookieWhileTheCallIsNotYetAllowed(t *testing.T) {
	for _, store := range []*replicastest.Fake{nil, replicastest.NewFake()} {
		p := &provider{rotate: true}
		inBubble(t, p, func(t *testing.T, before *fixture, j jar) {
			v := before.mustOpen(t, j)
			for range 2 {
				if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil {
					t.Fatal(err)
				}
			}
			newer, h := jar{}, make(http.Header)
			v.Commit(headerWriter(h))
			newer.take(t, h)
			settle := func(s *settings) {
				s.refresh.Refresher, s.Now, s.IdleTimeout = p, time.Now, 3*time.Hour
				if store != nil {
					s.refresh.Replicas = store
				}
			}
			started := newFixture(t, settle, func(s *settings) {
				s.refresh.MayRefresh = func(context.Context) error { time.Sleep(time.Second); return nil }
			})
			older := started.mustOpen(t, j)
			done := make(chan error, 1)
			go func() { done <- older.Refresh(t.Context(), refresh.OnDemand) }()
			time.Sleep(time.Second / 2)
			started.mustOpen(t, newer)
			if err := <-done; err != nil || older.Session.Generation != 3 || p.count() != 2 || p.good == "" {
				t.Errorf("generation %d, %v, %d calls", older.Session.Generation, err, p.count())
			}
			if store == nil {
				return
			}
			other := newFixture(t, settle).mustOpen(t, j)
			if err := other.Refresh(t.Context(), refresh.OnDemand); err != nil || other.Session.Generation != 3 || p.count() != 2 {
				t.Errorf("another replica: generation %d, %v, %d calls", other.Session.Generation, err, p.count())
			}
		})
	}
}

// TestTokensThatDoNotOpen: the keys were replaced after the request was opened, so its refresh
// token is not known. The provider is not called without one.
func TestTokensThatDoNotOpen(t *testing.T) {
	f, calls := newFixture(t), 0
	f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
		calls++
		return secret.Tokens{}, rejectedError{}
	}
	v := f.mustOpen(t, f.login(t, tokens(1, f.now)))
	if err := f.cfg.Keys.Replace([][]byte{bytes.Repeat([]byte{9}, seal.KeySize)}); err != nil {
		t.Fatal(err)
	}
	err := v.Refresh(t.Context(), refresh.OnDemand)
	if _, ok := errors.AsType[*refresh.UnavailableError](err); !ok || !errors.Is(err, session.ErrUnknownKey) || calls != 0 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// TestGenerationThatARefreshFound stays known when the refresh fails: an older cookie gets
// it, and its refresh token is not used again.
func TestGenerationThatARefreshFound(t *testing.T) {
	p := &provider{rotate: true}
	inBubble(t, p, func(t *testing.T, before *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		_, h := before.mustRequest(t, j)
		newer := jar{}
		newer.take(t, h)
		f := newFixture(t, func(s *settings) { s.refresh.Refresher, s.Now, s.IdleTimeout = p, time.Now, 3*time.Hour })
		p.fail = errors.New("HTML")
		if err := f.mustOpen(t, newer).Refresh(t.Context(), refresh.OnDemand); err == nil {
			t.Fatal("no failure")
		}
		p.fail = nil
		calls := p.count()
		time.Sleep(time.Minute)
		if v, _ := f.mustRequest(t, j); v.Session.Generation != 2 || p.count() != calls {
			t.Errorf("generation %d after %d calls", v.Session.Generation, p.count()-calls)
		}
	})
}

// TestEndedSessionWithoutDiscard: nobody takes back the tokens of a session that has ended
// while it was refreshed.
func TestEndedSessionWithoutDiscard(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(s *settings) { s.refresh.Refresher, s.Now, s.refresh.Discard = p, time.Now, nil })
		first := tokens(1, time.Now())
		p.good, p.used, p.until = first.Refresh.Reveal(), map[string]bool{}, map[string]time.Time{}
		j := f.login(t, first)
		v := f.mustOpen(t, j)
		go func() { time.Sleep(time.Second / 2); f.mustOpen(t, j).End() }()
		if err := v.Refresh(t.Context(), refresh.OnDemand); !errors.Is(err, refresh.ErrRevoked) {
			t.Error(err)
		}
		f.Close()
	})
}

// counting is a store that counts publications.
type counting struct {
	*replicastest.Fake

	published *int
}

func (c counting) Publish(ctx context.Context, name session.Name, lease string, result refresh.Result, keep time.Duration) error {
	*c.published++
	return c.Fake.Publish(ctx, name, lease, result, keep)
}

// TestResultIsPublishedOnce: what the store has taken is not sent again.
func TestResultIsPublishedOnce(t *testing.T) {
	published := 0
	p := &provider{rotate: true}
	withReplicas(t, 1, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		if err := all[0].mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if published != 1 {
			t.Errorf("published %d times", published)
		}
	}, func(s *settings) {
		if store, ok := s.refresh.Replicas.(*replicastest.Fake); ok {
			s.refresh.Replicas = counting{store, &published}
		}
	})
}

// TestHandOverWithoutAStore: there is nobody to hand anything to.
func TestHandOverWithoutAStore(t *testing.T) {
	p := &provider{rotate: true}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err != nil {
			t.Fatal(err)
		}
		f.Close()
		begun := time.Now()
		f.Run(t.Context())
		if err := f.HandOver(t.Context()); err != nil || time.Since(begun) != 0 {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
	})
}

// TestProbeIsWritten: the browser keeps when the provider was last asked about its user.
func TestProbeIsWritten(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	f.now = f.now.Add(10*time.Minute + time.Millisecond)
	v := f.mustOpen(t, j)
	v.MarkProbed(f.now)
	h := make(http.Header)
	v.Commit(headerWriter(h))
	j.take(t, h)
	if got := f.mustOpen(t, j); !got.Probed().Equal(f.now.Truncate(time.Second)) || !got.IdleExpires().Equal(v.Session.Begun.Add(time.Hour)) {
		t.Errorf("asked at %v, idle at %v", got.Probed(), got.IdleExpires())
	}
}

// TestGenerationTooLargeForCookiesIsLoggedOnce, and the answers still write the activity.
func TestGenerationTooLargeForCookiesIsLoggedOnce(t *testing.T) {
	var log testkit.Log
	f := newFixture(t, func(s *settings) { s.refresh.Log = log.Logger() })
	j := f.login(t, tokens(1, f.now))
	f.now = f.now.Add(10 * time.Minute)
	f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
		noise := make([]byte, 9000)
		_, _ = rand.Read(noise) // never fails
		return secret.Tokens{Access: secret.New("next"), AccessExpires: f.now.Add(time.Hour), Refresh: secret.New(base64.StdEncoding.EncodeToString(noise))}, nil
	}
	for i := range 3 {
		v := f.mustOpen(t, j)
		if i == 0 {
			if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil {
				t.Fatal(err)
			}
		}
		f.now = f.now.Add(time.Minute)
		v.Touch()
		h := make(http.Header)
		v.Commit(headerWriter(h))
		written := jar{}
		written.take(t, h)
		if len(written) != 1 || written[activeCookie] == "" || v.Session.Generation != 2 {
			t.Errorf("answer %d to generation %d wrote %d cookies", i, v.Session.Generation, len(written))
		}
	}
	if got := log.RecordsOf(t, "session not written"); len(got) != 1 {
		t.Errorf("logged %d times", len(got))
	}
}

// TestClosingIsSaid: a request that needs a token learns why it gets none.
func TestClosingIsSaid(t *testing.T) {
	f := newFixture(t)
	v := f.mustOpen(t, f.login(t, tokens(1, f.now)))
	f.Close()
	if err := v.Refresh(t.Context(), refresh.OnDemand); err == nil || !strings.Contains(err.Error(), "the service is shutting down") {
		t.Errorf("%v", err)
	}
}

// TestIdleEndOfARevokedSession: what its cookies say can be asked still.
func TestIdleEndOfARevokedSession(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	f.mustOpen(t, j).End()
	if v, err := f.Open(j.header()); !errors.Is(err, refresh.ErrRevoked) || !v.IdleExpires().Equal(f.now.Add(time.Hour)) {
		t.Errorf("%v", err)
	}
}

// TestNewSessionDuringAnOutageOfTheStore: whether the provider rotates is known from the last
// refresh of any session. Only if it does not, another replica may do the same at that time.
func TestNewSessionDuringAnOutageOfTheStore(t *testing.T) {
	for _, rotates := range []bool{true, false} {
		store := replicastest.NewFake()
		f := newFixture(t, func(s *settings) { s.refresh.Replicas = store })
		f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
			renewed := secret.Tokens{Access: secret.New("renewed"), AccessExpires: f.now.Add(time.Hour)}
			if rotates {
				renewed.Refresh = secret.New("next")
			}
			return renewed, nil
		}
		next := f.mustOpen(t, f.login(t, tokens(2, f.now)))
		store.SetOutage(true, true)
		if err := next.Refresh(t.Context(), refresh.OnDemand); !errors.Is(err, refresh.ErrStoreUnavailable) {
			t.Errorf("rotates %v: before any refresh: %v", rotates, err)
		}
		store.SetOutage(false, false)
		if err := f.mustOpen(t, f.login(t, tokens(1, f.now))).Refresh(t.Context(), refresh.OnDemand); err != nil {
			t.Fatal(err)
		}
		store.SetOutage(true, true)
		f.now = f.now.Add(time.Minute)
		if err := next.Refresh(t.Context(), refresh.OnDemand); errors.Is(err, refresh.ErrStoreUnavailable) != rotates || (err == nil) == rotates {
			t.Errorf("rotates %v: after a refresh of another session: %v", rotates, err)
		}
	}
}

package refresh_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// checked is how long after a change of the deny list all watched sessions were
// checked.
const checked = 50 * time.Millisecond

// withWatch runs a test with a watched session, in synthetic time.
func withWatch(t *testing.T, p *provider, test func(t *testing.T, f *fixture, j jar, w watch)) {
	t.Helper()
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		f.denied.OnGrowth(f.Recheck)
		test(t, f, j, watch{f.mustOpen(t, j).Watch(t.Context())})
	})
}

// watch is a context from Watch.
type watch struct{ over context.Context }

// want asserts that the context has ended with cause; nil means that it has not ended.
func (w watch) want(t *testing.T, why error) {
	t.Helper()
	synctest.Wait()
	if got := context.Cause(w.over); !errors.Is(got, why) || (why == nil) != (got == nil) {
		t.Errorf("the watch ended with %v, want %v", got, why)
	}
}

func TestWatchEndsWhenTheSessionIsRevoked(t *testing.T) {
	for name, revoke := range map[string]func(t *testing.T, f *fixture, j jar){
		"logout":   func(t *testing.T, f *fixture, j jar) { f.mustOpen(t, j).End() },
		"operator": func(t *testing.T, f *fixture, j jar) { f.endAll(t, f.mustOpen(t, j).Session.Subject) },
		"another replica": func(t *testing.T, f *fixture, j jar) {
			entry := replicas.Revocation{Kind: replicas.KindSession, Name: f.mustOpen(t, j).Session.ID.String(), Until: time.Now().Add(time.Hour)}
			if _, err := f.denied.Add(entry); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			withWatch(t, &provider{}, func(t *testing.T, f *fixture, j jar, w watch) {
				other := f.login(t, tokens(2, time.Now()))
				bystander := watch{f.mustOpen(t, other).Watch(t.Context())}
				if name == "operator" {
					bystander = watch{t.Context()} // all tokens of the tests are those of one user
				}
				time.Sleep(time.Second)
				w.want(t, nil)
				revoke(t, f, j)
				time.Sleep(checked)
				w.want(t, refresh.ErrRevoked)
				bystander.want(t, nil)
				if name != "operator" {
					f.mustOpen(t, other).End() // a later check finds it, too
					time.Sleep(checked)
					bystander.want(t, refresh.ErrRevoked)
				}
			})
		})
	}
}

// TestWatchOfARevokedSessionEndsAtOnce: a session that is revoked after it was opened
// and before it is watched is not missed.
func TestWatchOfARevokedSessionEndsAtOnce(t *testing.T) {
	withWatch(t, &provider{}, func(t *testing.T, f *fixture, j jar, _ watch) {
		v := f.mustOpen(t, j)
		f.mustOpen(t, j).End()
		if got := context.Cause(v.Watch(t.Context())); !errors.Is(got, refresh.ErrRevoked) {
			t.Errorf("%v", got)
		}
	})
}

func TestWatchEndsAtTheAbsoluteEnd(t *testing.T) {
	withWatch(t, &provider{}, func(t *testing.T, _ *fixture, _ jar, w watch) {
		time.Sleep(12*time.Hour - time.Second) // long after the idle timeout
		w.want(t, nil)
		time.Sleep(time.Second)
		w.want(t, session.ErrExpired)
	})
}

// TestWatchFollowsTheRefreshToken: the session ends with its refresh token, and goes
// on if a refresh gives another one.
func TestWatchFollowsTheRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *settings) { c.Now = time.Now })
		f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
			renewed := tokens(2, time.Now())
			renewed.RefreshExpires = time.Now().Add(2 * time.Hour)
			return renewed, nil
		}
		first := tokens(1, time.Now())
		first.RefreshExpires = time.Now().Add(90 * time.Minute)
		j := f.login(t, first)
		v := f.mustOpen(t, j)
		w := watch{v.Watch(t.Context())}
		time.Sleep(59 * time.Minute)
		if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err != nil {
			t.Fatal(err)
		}
		time.Sleep(119 * time.Minute)
		w.want(t, nil)
		time.Sleep(time.Minute)
		w.want(t, session.ErrExpired)
	})
}

func TestWatchEndsWhenTheRefreshTokenIsRejected(t *testing.T) {
	withWatch(t, &provider{fail: rejectedError{}}, func(t *testing.T, f *fixture, j jar, w watch) {
		if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); !errors.Is(err, refresh.ErrRejected) {
			t.Fatal(err)
		}
		time.Sleep(checked)
		w.want(t, refresh.ErrRejected)
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	withWatch(t, &provider{}, func(t *testing.T, f *fixture, j jar, _ watch) {
		why := errors.New("the request is over")
		ctx, end := context.WithCancelCause(t.Context())
		w := watch{f.mustOpen(t, j).Watch(ctx)}
		end(why)
		w.want(t, why)
		f.mustOpen(t, j).End()
		time.Sleep(checked)
		w.want(t, why)
	})
}

// TestWatchFollowsAClockThatIsSet: the end is found by the clock, even if a timer was
// set before the clock was.
func TestWatchFollowsAClockThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		f := newFixture(t, func(c *settings) {
			c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		w := watch{f.mustOpen(t, f.login(t, tokens(1, time.Now()))).Watch(t.Context())}
		ahead.Store(int64(12 * time.Hour))
		time.Sleep(time.Minute)
		w.want(t, session.ErrExpired)
	})
}

// TestManyWatchesAndRevocations is for the race detector.
func TestManyWatchesAndRevocations(t *testing.T) {
	withWatch(t, &provider{}, func(t *testing.T, f *fixture, _ jar, _ watch) {
		var watches []watch
		for i := range uint64(200) {
			j := f.login(t, tokens(i+2, time.Now()))
			ctx, end := context.WithCancel(t.Context())
			w := watch{f.mustOpen(t, j).Watch(ctx)}
			if i%2 == 0 {
				watches = append(watches, w)
				go f.mustOpen(t, j).End()
			} else {
				go end()
			}
			defer end()
		}
		time.Sleep(checked)
		for _, w := range watches {
			w.want(t, refresh.ErrRevoked)
		}
	})
}

// sliding is a provider that prolongs the refresh token with each refresh.
type sliding struct{}

const slides = 30 * time.Minute

func (sliding) Refresh(context.Context, secret.Tokens) (secret.Tokens, error) {
	now := time.Now()
	return secret.Tokens{Access: secret.New("renewed"), AccessExpires: now.Add(slides), RefreshExpires: now.Add(slides)}, nil
}

// TestWatchFollowsAProlongedSession: when a browser has sent the new generation,
// memory releases its tokens, but not when it ends.
func TestWatchFollowsAProlongedSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(c *settings) { c.refresh.Refresher, c.Now = sliding{}, time.Now })
		first := tokens(1, time.Now())
		first.AccessExpires, first.RefreshExpires = time.Now().Add(slides-time.Minute), time.Now().Add(slides)
		j := f.login(t, first)
		w := watch{f.mustOpen(t, j).Watch(t.Context())}
		time.Sleep(20 * time.Minute)
		v := f.mustOpen(t, j)
		if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil {
			t.Fatal(err)
		}
		h := make(http.Header)
		v.Commit(headerWriter(h))
		j.take(t, h)
		f.mustOpen(t, j) // confirms the new generation
		time.Sleep(time.Minute)
		f.sweep(t)
		time.Sleep(slides - 2*time.Minute) // past the first end
		w.want(t, nil)
		time.Sleep(time.Minute)
		w.want(t, session.ErrExpired)
	})
}

// TestWatchOfAShortenedLifetime: another replica, which has the longer one still, has refreshed
// the session. Here it ends as the shorter one says.
func TestWatchOfAShortenedLifetime(t *testing.T) {
	p := &provider{rotate: true}
	withReplicas(t, 1, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, _ jar) {
		longer := newFixture(t, func(s *settings) {
			s.refresh.Refresher, s.Now, s.IdleTimeout, s.refresh.Replicas = p, time.Now, 3*time.Hour, all[0].cfg.refresh.Replicas
		})
		one := tokens(1, time.Now())
		j := longer.login(t, one)
		v := all[0].mustOpen(t, j)
		w := watch{v.Watch(t.Context())}
		for _, f := range []*fixture{longer, all[0]} {
			if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2*time.Hour - time.Second)
		w.want(t, nil)
		time.Sleep(time.Second)
		w.want(t, session.ErrExpired)
	}, func(s *settings) { s.AbsoluteLifetime = 2 * time.Hour })
}

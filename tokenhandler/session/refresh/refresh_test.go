package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	contract "cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestParallelRequestsRefreshOnce: 50 requests arrive with an access token that has
// ended, at a provider with strict rotation and reuse detection. There is one call,
// all requests succeed, and every response carries the newest generation.
func TestParallelRequestsRefreshOnce(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(time.Hour)
		start := time.Now()
		var wg sync.WaitGroup
		var failed atomic.Int32
		answers := make([]http.Header, 50)
		for i := range answers {
			wg.Go(func() {
				token, h, err := f.request(t, j)
				if err != nil || token != "access 1" {
					failed.Add(1)
				}
				answers[i] = h
			})
		}
		wg.Wait()
		if failed.Load() != 0 || p.count() != 1 {
			t.Fatalf("%d of 50 failed, %d calls", failed.Load(), p.count())
		}
		if took := time.Since(start); took > 115*time.Millisecond {
			t.Errorf("the burst took %v with a provider of 100 ms", took)
		}
		for _, h := range answers {
			tab := jar{}
			tab.take(t, h)
			if v := f.mustOpen(t, tab); v.Session.Generation != 2 {
				t.Errorf("an answer left the browser at generation %d", v.Session.Generation)
			}
		}
	})
}

// keepActive makes a request that counts as activity, and takes its cookies.
func keepActive(t *testing.T, f *fixture, j jar) {
	t.Helper()
	v := f.mustOpen(t, j)
	v.Touch()
	h := make(http.Header)
	v.Commit(headerWriter(h))
	j.take(t, h)
}

// TestRefreshBeforeExpiryDoesNotWait: while the token still works, the request goes on
// with it, and the next response carries the new cookie.
func TestRefreshBeforeExpiryDoesNotWait(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(59*time.Minute + 10*time.Second)
		before := f.mustOpen(t, j).Session.Access.Reveal()
		start := time.Now()
		token, h, err := f.request(t, j)
		if err != nil || token != before || len(h) != 0 || time.Since(start) != 0 {
			t.Fatalf("token changed %v, header %v, error %v, waited %v", token != before, h, err, time.Since(start))
		}
		time.Sleep(2 * time.Second)
		token, h, err = f.request(t, j)
		if err != nil || token != "access 1" || len(h["Set-Cookie"]) == 0 {
			t.Errorf("next request: token %q, header %v, error %v", token, h, err)
		}
	})
}

// TestRefreshThatEndsDuringTheRequestIsWritten: Commit runs when the header of the
// response is sent, which may be after the refresh.
func TestRefreshThatEndsDuringTheRequestIsWritten(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(59*time.Minute + 10*time.Second)
		v := f.mustOpen(t, j)
		if err := v.Refresh(t.Context(), refresh.IfDue); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second) // the upstream takes its time
		h := make(http.Header)
		v.Commit(headerWriter(h))
		if len(h["Set-Cookie"]) == 0 || v.Session.Generation != 2 {
			t.Errorf("generation %d, header %v", v.Session.Generation, h)
		}
	})
}

// TestClientThatLeavesDoesNotLoseTheSession: the client left while the provider
// rotated. Long after the grace the old cookie still gets the new generation, because
// no browser has sent that yet.
func TestClientThatLeavesDoesNotLoseTheSession(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		ctx, leave := context.WithCancel(t.Context())
		v := f.mustOpen(t, j)
		go func() { time.Sleep(10 * time.Millisecond); leave() }()
		if err := v.Refresh(ctx, refresh.IfDue); !errors.Is(err, context.Canceled) {
			t.Fatalf("the client left: %v", err)
		}
		time.Sleep(10 * time.Minute)
		f.login(t, tokens(9, time.Now())) // of another user
		token, h, err := f.request(t, j)
		if err != nil || token != "access 1" || p.count() != 1 {
			t.Fatalf("token %q, error %v, %d calls", token, err, p.count())
		}
		j.take(t, h)
		if token, h, err = f.request(t, j); err != nil || token != "access 1" || len(h) != 0 {
			t.Errorf("with the new cookie: %q, %v, %v", token, h, err)
		}
	})
}

// TestOldCookieAfterTheGraceNeverKillsTheSession: an old cookie that comes long after
// the newer one is refused here. The provider would take its refresh token for stolen
// and revoke all tokens of the session, so it never gets that token.
func TestOldCookieAfterTheGraceNeverKillsTheSession(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(61 * time.Minute)
		old := jar{sessionCookie: j[sessionCookie], activeCookie: j[activeCookie]}
		_, h, err := f.request(t, j)
		if err != nil {
			t.Fatal(err)
		}
		j.take(t, h)
		for _, wait := range []time.Duration{time.Second, 28 * time.Second} {
			time.Sleep(wait)
			if token, _, err := f.request(t, old); err != nil || token != "access 1" {
				t.Errorf("the old cookie within the grace: %q, %v", token, err)
			}
			if _, _, err := f.request(t, j); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		f.sweep(t)
		if _, _, err := f.request(t, old); !errors.Is(err, refresh.ErrSuperseded) {
			t.Errorf("the old cookie after the grace: %v", err)
		}
		if p.count() != 1 {
			t.Errorf("the provider saw %d calls", p.count())
		}
		if _, _, err := f.request(t, j); err != nil {
			t.Errorf("the session itself: %v", err)
		}
	})
}

// sweep refreshes another session: then records that are of no more use are removed.
func (f *fixture) sweep(t *testing.T) {
	t.Helper()
	other := f.mustOpen(t, f.login(t, tokens(99, time.Now())))
	_ = other.Refresh(t.Context(), refresh.OnDemand)
}

func TestWithoutRotationTheOldRefreshTokenStays(t *testing.T) {
	p := &provider{latency: time.Millisecond}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		for hour := range 5 {
			time.Sleep(61 * time.Minute)
			keepActive(t, f, j)
			token, h, err := f.request(t, j)
			if want := fmt.Sprint("access ", hour+1); err != nil || token != want {
				t.Fatalf("hour %d: %q, %v", hour, token, err)
			}
			j.take(t, h)
		}
		v := f.mustOpen(t, j)
		if v.Session.Generation != 6 || allTokens(t, v.Session).Refresh.Reveal() != p.good {
			t.Errorf("generation %d, refresh token kept %v", v.Session.Generation, allTokens(t, v.Session).Refresh.Reveal() == p.good)
		}
	})
}

// TestPassingFailureKeepsTheSession: time-outs, 429, 5xx and invalid responses never
// end a session. The provider is not asked again before the pause is over.
func TestPassingFailureKeepsTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		fail    error
		latency time.Duration
		retry   time.Duration
	}{
		"nonsense": {errors.New("HTML"), 0, time.Second},
		"429":      {busyError{}, 0, 7 * time.Second},
		"429, 1 h": {&contract.Error{Kind: contract.ErrRateLimited, RetryAfter: time.Hour}, 0, 30 * time.Second},
		"refused":  {&contract.Error{Kind: contract.ErrRefused, Status: http.StatusBadRequest}, 0, 10 * time.Second},
		"hangs":    {nil, time.Hour, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			p := &provider{fail: c.fail, latency: c.latency}
			inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
				time.Sleep(59*time.Minute + 10*time.Second)
				before, _, err := f.request(t, j)
				if err != nil {
					t.Fatalf("with a token that still works: %v", err)
				}
				time.Sleep(15 * time.Second)
				if token, _, err := f.request(t, j); err != nil || token != before {
					t.Fatalf("with a token that still works, after a failure: %v", err)
				}
				time.Sleep(time.Minute)
				calls := p.count()
				_, _, err = f.request(t, j)
				unavailable, ok := errors.AsType[*refresh.UnavailableError](err)
				if !ok || unavailable.RetryAfter != c.retry {
					t.Fatalf("with an expired token: %v", err)
				}
				if _, _, err = f.request(t, j); err == nil || p.count() != calls+1 {
					t.Errorf("asked again at once: %d calls, %v", p.count()-calls, err)
				}
				p.mu.Lock()
				p.fail, p.latency = nil, time.Millisecond
				p.mu.Unlock()
				time.Sleep(c.retry)
				if token, _, err := f.request(t, j); err != nil || token == before {
					t.Errorf("after the provider healed: %q, %v", token, err)
				}
			})
		})
	}
}

func TestRejectedRefreshTokenEndsTheSession(t *testing.T) {
	p := &provider{fail: rejectedError{}, latency: time.Millisecond}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		v := f.mustOpen(t, j)
		if err := v.Refresh(t.Context(), refresh.OnDemand); !errors.Is(err, refresh.ErrRejected) {
			t.Fatalf("%v", err)
		}
		for range 10 {
			if _, err := f.Open(j.header()); !errors.Is(err, refresh.ErrRejected) {
				t.Fatalf("its cookie still opens: %v", err)
			}
		}
		if p.count() != 1 {
			t.Errorf("%d calls", p.count())
		}
	})
}

// TestLogoutDuringARefreshWins: a refresh that is still running must not bring the
// session back.
func TestLogoutDuringARefreshWins(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(59*time.Minute + 10*time.Second)
		v := f.mustOpen(t, j)
		if err := v.Refresh(t.Context(), refresh.IfDue); err != nil {
			t.Fatal(err)
		}
		f.mustOpen(t, j).End()
		time.Sleep(2 * time.Second)
		h := make(http.Header)
		v.Commit(headerWriter(h))
		if len(h) != 0 {
			t.Errorf("the browser is told %v", h)
		}
	})
}

func TestForcedRefreshesCoalesce(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				v := f.mustOpen(t, j)
				if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil || v.Session.Generation != 2 {
					t.Errorf("generation %d, %v", v.Session.Generation, err)
				}
			})
		}
		wg.Wait()
		if p.count() != 1 {
			t.Errorf("%d calls", p.count())
		}
	})
}

// TestCloseLetsARefreshFinish: a process that stops does not lose a rotated token on
// its way from the provider.
func TestCloseLetsARefreshFinish(t *testing.T) {
	p := &provider{rotate: true, latency: time.Second}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		time.Sleep(59*time.Minute + 10*time.Second)
		if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.IfDue); err != nil {
			t.Fatal(err)
		}
		f.Close()
		if v := f.mustOpen(t, j); v.Session.Generation != 2 {
			t.Errorf("after waiting the session is at generation %d", v.Session.Generation)
		}
	})
}

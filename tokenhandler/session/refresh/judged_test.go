package refresh_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	contract "cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestUnusableAnswers: after a minute in which the provider was reached and gave nothing
// else, the session counts as one without a token. An outage begins the minute anew.
func TestUnusableAnswers(t *testing.T) {
	unusable := func(kind error) func() (secret.Tokens, error) {
		return func() (secret.Tokens, error) { return secret.Tokens{}, &contract.Error{Kind: kind} }
	}
	for _, kind := range []error{contract.ErrMisconfigured, contract.ErrInvalidResponse} {
		s := newServerErrors(t)
		for i, c := range []struct {
			after  time.Duration
			answer func() (secret.Tokens, error)
			want   bool
		}{
			{0, unusable(kind), false},
			{time.Minute - 1, unusable(kind), false},
			{time.Minute, unusable(kind), true},
			{2 * time.Minute, answering(http.StatusBadGateway), false},
			{3 * time.Minute, unusable(kind), false},
			{4 * time.Minute, unusable(kind), true},
		} {
			begun := s.now
			s.answer, s.now = c.answer, s.now.Add(c.after)
			if got := s.fails(t); got.Unusable != c.want || got.Refused {
				t.Errorf("%v, %d: unusable %v, refused %v", kind, i, got.Unusable, got.Refused)
			}
			s.now = begun
		}
	}
}

// TestRefusalWhileTheTokenWorks: the session goes on with it.
func TestRefusalWhileTheTokenWorks(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
		return secret.Tokens{}, &contract.Error{Kind: contract.ErrRefused}
	}
	err := f.mustOpen(t, j).Refresh(t.Context(), refresh.OnDemand)
	if failed, ok := errors.AsType[*refresh.UnavailableError](err); !ok || failed.Refused || failed.Unusable {
		t.Errorf("%v", err)
	}
}

// TestTokensThatHaveEndedAlready: a request does not go on with one, however often the
// provider gives it.
func TestTokensThatHaveEndedAlready(t *testing.T) {
	f := newFixture(t, func(c *settings) { c.IdleTimeout = 3 * time.Hour })
	j := f.login(t, tokens(1, f.now))
	f.now = f.now.Add(61 * time.Minute)
	f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
		return secret.Tokens{Access: secret.New("old"), AccessExpires: f.now.Add(-time.Minute)}, nil
	}
	err := f.mustOpen(t, j).Refresh(t.Context(), refresh.IfDue)
	if _, ok := errors.AsType[*refresh.UnavailableError](err); !ok {
		t.Errorf("%v", err)
	}
}

// TestMayLive: a session that is known by its id only may live until its end, or until it
// is ended.
func TestMayLive(t *testing.T) {
	f := newFixture(t)
	v := f.mustOpen(t, f.login(t, tokens(1, f.now)))
	id, ends := v.Session.ID, f.now.Add(time.Hour)
	if !f.MayLive(id, ends) || f.MayLive(id, f.now) {
		t.Error("its end does not decide")
	}
	v.End()
	if f.MayLive(id, ends) {
		t.Error("it may live after a logout")
	}
}

// TestNewerCookieDuringTheCall: while a refresh runs, a browser shows a later generation than
// the one that the refresh makes. That stays the newest.
func TestNewerCookieDuringTheCall(t *testing.T) {
	p := &provider{latency: time.Second}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		other := newFixture(t, func(c *settings) { c.refresh.Refresher, c.Now, c.IdleTimeout = p, time.Now, 3*time.Hour })
		later := other.mustOpen(t, j)
		for range 2 {
			if err := later.Refresh(t.Context(), refresh.OnDemand); err != nil {
				t.Fatal(err)
			}
		}
		newest, h := jar{}, make(http.Header)
		later.Commit(headerWriter(h))
		newest.take(t, h)
		done := make(chan error, 1)
		v := f.mustOpen(t, j)
		go func() { done <- v.Refresh(t.Context(), refresh.OnDemand) }()
		time.Sleep(time.Second / 2)
		f.mustOpen(t, newest)
		if err := <-done; err != nil || v.Session.Generation != 3 {
			t.Errorf("the request goes on with generation %d, %v", v.Session.Generation, err)
		}
		if got := f.mustOpen(t, j).Session.Generation; got != 3 {
			t.Errorf("the newest is %d", got)
		}
	})
}

// TestSuccessForgetsUnusableAnswers: the minute begins anew after it.
func TestSuccessForgetsUnusableAnswers(t *testing.T) {
	s := newServerErrors(t)
	unusable := func() (secret.Tokens, error) {
		return secret.Tokens{}, &contract.Error{Kind: contract.ErrInvalidResponse}
	}
	s.answer = unusable
	_ = s.fails(t)
	s.now = s.now.Add(30 * time.Second)
	s.answer = func() (secret.Tokens, error) {
		return secret.Tokens{Access: secret.New("short"), AccessExpires: s.now.Add(16 * time.Second)}, nil
	}
	if err := s.mustOpen(t, s.broken).Refresh(t.Context(), refresh.IfDue); err != nil {
		t.Fatal(err)
	}
	s.now, s.answer = s.now.Add(time.Minute), unusable
	if s.fails(t).Unusable {
		t.Error("unusable at once after a success")
	}
}

// TestLogoutWithADeadRefreshToken: there is nothing left to revoke.
func TestLogoutWithADeadRefreshToken(t *testing.T) {
	for after, alive := range map[time.Duration]bool{10*time.Minute - time.Second: true, 10 * time.Minute: false} {
		f := newFixture(t)
		one := tokens(1, f.now)
		one.RefreshExpires = f.now.Add(10 * time.Minute)
		j := f.login(t, one)
		f.now = f.now.Add(after)
		v, _ := f.Open(j.header())
		if v.Stored == nil || v.End() != alive {
			t.Errorf("after %s: to be revoked %v", after, !alive)
		}
	}
}

// TestRefreshesAreSpread: sessions that began together are refreshed at different times, from a
// quarter of a minute before the configured one on.
func TestRefreshesAreSpread(t *testing.T) {
	const many = 60
	for left, want := range map[time.Duration][2]int{75 * time.Second: {0, 0}, 67500 * time.Millisecond: {10, many - 10}, time.Minute: {many, many}} {
		var calls atomic.Int32
		f := newFixture(t)
		f.refresh = func(context.Context, secret.Tokens) (secret.Tokens, error) {
			calls.Add(1)
			return secret.Tokens{}, errors.New("no")
		}
		one, begun := tokens(1, f.now), f.now
		jars := make([]jar, many)
		for i := range jars {
			jars[i] = f.login(t, one)
		}
		f.now = begun.Add(time.Hour - left)
		for _, j := range jars {
			if err := f.mustOpen(t, j).Refresh(t.Context(), refresh.IfDue); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		if got := int(calls.Load()); got < want[0] || got > want[1] {
			t.Errorf("%s before the end %d of %d are refreshed", left, got, many)
		}
	}
}

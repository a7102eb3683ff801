package refresh_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	contract "cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// TestRefusedGenerationIsNotTriedAgain: requests that were opened before the provider
// refused the refresh token learn so without another call, those with an older cookie too,
// and a logout has nothing left to revoke.
func TestRefusedGenerationIsNotTriedAgain(t *testing.T) {
	for name, generation := range map[string]uint64{"of the login": 1, "renewed": 2} {
		p := &provider{rotate: true}
		inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
			late, last := f.mustOpen(t, j), f.mustOpen(t, j)
			v := f.mustOpen(t, j)
			for range generation - 1 {
				if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil {
					t.Fatal(err)
				}
			}
			p.mu.Lock()
			p.fail = rejectedError{}
			p.mu.Unlock()
			if err := v.Refresh(t.Context(), refresh.OnDemand); !errors.Is(err, refresh.ErrRejected) || v.Session.Generation != generation {
				t.Fatalf("%s: %v", name, err)
			}
			calls := p.count()
			if err := late.Refresh(t.Context(), refresh.OnDemand); !errors.Is(err, refresh.ErrRejected) || p.count() != calls {
				t.Errorf("%s: a request that was open already: %v after %d calls", name, err, p.count()-calls)
			}
			if last.End() {
				t.Errorf("%s: the refresh token is dead, and is to be revoked", name)
			}
		})
	}
}

// TestLogoutForgetsTheTokens: they are in no memory that a later login could find.
func TestLogoutForgetsTheTokens(t *testing.T) {
	p := &provider{rotate: true}
	inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
		v := f.mustOpen(t, j)
		if err := v.Refresh(t.Context(), refresh.OnDemand); err != nil {
			t.Fatal(err)
		}
		if !f.mustOpen(t, j).End() {
			t.Error("the session was not alive")
		}
		if _, found := f.TakeToken(t.Context(), v.Session.ID); found {
			t.Error("the refresh token stays in memory")
		}
	})
}

// serverErrors is a provider that refreshes one session, and answers otherwise to the
// other one as the test says.
type serverErrors struct {
	*fixture

	broken, healthy jar
	answer          func() (secret.Tokens, error)
}

func newServerErrors(t *testing.T) *serverErrors {
	t.Helper()
	s := &serverErrors{fixture: newFixture(t, func(c *settings) { c.IdleTimeout = 3 * time.Hour })}
	first := tokens(1, s.now)
	s.broken, s.healthy = s.login(t, first), s.login(t, tokens(2, s.now))
	s.refresh = func(_ context.Context, previous secret.Tokens) (secret.Tokens, error) {
		if previous.Refresh.Equal(first.Refresh) {
			return s.answer()
		}
		return secret.Tokens{Access: secret.New("healthy"), AccessExpires: s.now.Add(time.Hour)}, nil
	}
	s.now = s.now.Add(61 * time.Minute)
	return s
}

// fails asks for the session that the provider does not refresh, and returns the error.
func (s *serverErrors) fails(t *testing.T) *refresh.UnavailableError {
	t.Helper()
	err := s.mustOpen(t, s.broken).Refresh(t.Context(), refresh.IfDue)
	failed, ok := errors.AsType[*refresh.UnavailableError](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	return failed
}

// renews refreshes the other session.
func (s *serverErrors) renews(t *testing.T) {
	t.Helper()
	if err := s.mustOpen(t, s.healthy).Refresh(t.Context(), refresh.OnDemand); err != nil {
		t.Fatal(err)
	}
}

func answering(status int) func() (secret.Tokens, error) {
	return func() (secret.Tokens, error) {
		return secret.Tokens{}, &contract.Error{Kind: contract.ErrUnavailable, Status: status}
	}
}

// TestServerErrorsThatRefuse: five 5xx in a row for one session, over a minute in which
// another session was refreshed, and nothing less.
func TestServerErrorsThatRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		errors  int
		over    time.Duration
		renewed time.Duration // after the first error; negative for never
		other   int           // the status of the first answer; 0 for a 5xx
		want    bool
	}{
		"five over a minute":      {5, time.Minute, time.Second, 0, true},
		"many":                    {20, 5 * time.Minute, time.Minute, 0, true},
		"four":                    {4, time.Minute, time.Second, 0, false},
		"five in less":            {5, time.Minute - time.Millisecond, time.Second, 0, false},
		"nobody is refreshed":     {5, time.Minute, -1, 0, false},
		"refreshed before":        {5, time.Minute, 0, 0, false},
		"one of them is no 5xx":   {5, time.Minute, time.Second, http.StatusTooManyRequests, false},
		"five, and one before":    {6, 75 * time.Second, time.Second, http.StatusTooManyRequests, false}, // the minute began with the first 5xx
		"six, and one before":     {7, 80 * time.Second, 20 * time.Second, http.StatusTooManyRequests, true},
		"the status of no answer": {5, time.Minute, time.Second, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServerErrors(t)
			begun := s.now
			if c.renewed == 0 {
				s.renews(t)
			}
			for i := range c.errors {
				s.answer = answering(http.StatusInternalServerError)
				if i == 0 && c.other != 0 {
					s.answer = answering(max(c.other, 0))
				}
				s.now = begun.Add(c.over * time.Duration(i) / time.Duration(c.errors-1))
				if got := s.fails(t).Refused; got != (c.want && i == c.errors-1) && name != "many" {
					t.Errorf("after %d: refused %v", i+1, got)
				}
				if c.renewed > 0 && !begun.Add(c.renewed).After(s.now.Add(c.over/time.Duration(c.errors-1))) {
					s.now = begun.Add(c.renewed)
					s.renews(t)
					c.renewed = -1
				}
			}
			if got := s.fails(t).Refused; got != c.want {
				t.Errorf("while it pauses: refused %v", got)
			}
		})
	}
}

// TestSuccessForgetsServerErrors: only those in a row count.
func TestSuccessForgetsServerErrors(t *testing.T) {
	s := newServerErrors(t)
	step := func(answer func() (secret.Tokens, error)) {
		s.answer = answer
		s.now = s.now.Add(20 * time.Second)
		s.renews(t)
	}
	for range 4 {
		step(answering(http.StatusBadGateway))
		_ = s.fails(t)
	}
	step(func() (secret.Tokens, error) {
		return secret.Tokens{Access: secret.New("short"), AccessExpires: s.now.Add(16 * time.Second)}, nil
	})
	if err := s.mustOpen(t, s.broken).Refresh(t.Context(), refresh.IfDue); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		step(answering(http.StatusBadGateway))
		if s.fails(t).Refused {
			t.Errorf("refused after %d more", i+1)
		}
	}
	step(answering(http.StatusBadGateway))
	if !s.fails(t).Refused {
		t.Error("not refused after five more")
	}
	step(func() (secret.Tokens, error) { return secret.Tokens{}, errors.New("not reached") })
	if s.fails(t).Refused {
		t.Error("refused by an outage")
	}
}

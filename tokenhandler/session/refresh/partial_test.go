package refresh_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// refused makes a request that gets no token, because the provider's answer cannot be
// verified yet. It returns the request's session and the header of its answer.
func (f *fixture) refused(t *testing.T, j jar, why refresh.Reason) (*refresh.RequestSession, http.Header) {
	t.Helper()
	v := f.mustOpen(t, j)
	before := v.Session.Access.Reveal()
	err := v.Refresh(t.Context(), why)
	if _, ok := errors.AsType[*refresh.UnavailableError](err); !ok {
		t.Fatalf("got %v, want an UnavailableError", err)
	}
	if got := v.Session.Access.Reveal(); got != before {
		t.Errorf("an access token was handed out that was not verified: %q", got)
	}
	h := make(http.Header)
	v.Commit(headerWriter(h))
	return v, h
}

// TestRotatedTokenThatCannotBeVerifiedYet: rotation without a grace, and the answer cannot
// be verified yet. The answer to the request has a cookie with the new refresh token and
// the old access token, so that this process, another one and one that has restarted go on
// with it.
func TestRotatedTokenThatCannotBeVerifiedYet(t *testing.T) {
	for name, goOn := range map[string]func(all []*fixture, old, cookie jar) (*fixture, jar){
		"from memory":      func(all []*fixture, old, _ jar) (*fixture, jar) { return all[0], old },
		"with the cookie":  func(all []*fixture, _, cookie jar) (*fixture, jar) { return all[0], cookie },
		"after a restart":  func(all []*fixture, _, cookie jar) (*fixture, jar) { return all[1], cookie },
		"while it goes on": nil,
	} {
		t.Run(name, func(t *testing.T) {
			p := &provider{rotate: true, latency: 100 * time.Millisecond, unverified: true}
			withReplicas(t, 2, nil, p, func(t *testing.T, all []*fixture, j jar) {
				time.Sleep(61 * time.Minute)
				keepActive(t, all[0], j)
				old, cookie := jar{}, jar{}
				for name, value := range j {
					old[name], cookie[name] = value, value
				}
				v, h := all[0].refused(t, j, refresh.IfDue)
				cookie.take(t, h)
				if s := all[1].mustOpen(t, cookie).Session; !s.Partial || s.Generation != 2 || !s.Rotates || allTokens(t, s).Refresh.Reveal() != p.good {
					t.Errorf("the cookie has generation %d, partial %v, and not the new refresh token", s.Generation, s.Partial)
				}
				if v.Session.AccessExpires != all[0].mustOpen(t, old).Session.AccessExpires {
					t.Error("the old access token has another end")
				}
				if goOn == nil { // the provider's second answer cannot be verified either
					time.Sleep(2 * time.Second)
					_, h = all[1].refused(t, cookie, refresh.IfDue)
					cookie.take(t, h)
				}
				p.setUnverified(false)
				time.Sleep(2 * time.Second)
				f, with := all[1], cookie
				if goOn != nil {
					f, with = goOn(all, old, cookie)
				}
				calls := p.count()
				token, h, err := f.request(t, with)
				if err != nil || token == "" || p.count() != calls+1 {
					t.Fatalf("token %q, %v, %d calls", token, err, p.count()-calls)
				}
				with.take(t, h)
				if s := f.mustOpen(t, with).Session; s.Partial || s.Access.Reveal() != token {
					t.Errorf("the cookie is partial: %v", s.Partial)
				}
			})
		})
	}
}

// TestPartialGenerationOfAnotherReplica: another replica takes the new refresh token from
// the store, even if no browser got the cookie.
func TestPartialGenerationOfAnotherReplica(t *testing.T) {
	p := &provider{rotate: true, latency: 100 * time.Millisecond, unverified: true}
	withReplicas(t, 2, replicastest.NewFake(), p, func(t *testing.T, all []*fixture, j jar) {
		time.Sleep(61 * time.Minute)
		all[0].refused(t, j, refresh.IfDue)
		p.setUnverified(false)
		if token, _, err := all[1].request(t, j); err != nil || token != "access 2" || p.count() != 2 {
			t.Errorf("token %q, %v, %d calls", token, err, p.count())
		}
	})
}

// TestDemandedTokenThatCannotBeVerifiedYet: a request that asks for a new token gets none
// and an error, however often it asks, although the old one still works for the others.
func TestDemandedTokenThatCannotBeVerifiedYet(t *testing.T) {
	for _, why := range []refresh.Reason{refresh.OnDemand, refresh.Refused} {
		p := &provider{rotate: true, latency: 100 * time.Millisecond, unverified: true}
		inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
			for range 3 {
				_, h := f.refused(t, j, why)
				if token, _, err := f.request(t, j); err != nil || token != allTokens(t, f.mustOpen(t, j).Session).Access.Reveal() {
					t.Errorf("a request that takes the old token: %v", err)
				}
				j.take(t, h)
				time.Sleep(time.Minute)
			}
			p.setUnverified(false)
			time.Sleep(time.Minute)
			v := f.mustOpen(t, j)
			if err := v.Refresh(t.Context(), why); err != nil || v.Session.Partial {
				t.Errorf("after the clocks agree: %v, partial %v", err, v.Session.Partial)
			}
		})
	}
}

// TestGenerationOfAnEndedSession: the new refresh token is given back if the session was ended
// meanwhile, whether the answer could be verified or not.
func TestGenerationOfAnEndedSession(t *testing.T) {
	for _, unverified := range []bool{true, false} {
		p := &provider{rotate: true, latency: time.Second, unverified: unverified}
		inBubble(t, p, func(t *testing.T, f *fixture, j jar) {
			v := f.mustOpen(t, j)
			go func() { time.Sleep(500 * time.Millisecond); f.mustOpen(t, j).End() }()
			_ = v.Refresh(t.Context(), refresh.OnDemand)
			f.Close()
			if len(f.discarded) != 1 || f.discarded[0] != p.good {
				t.Errorf("unverified %v: %d refresh tokens were given back", unverified, len(f.discarded))
			}
		})
	}
}

package tokenhandler

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// A session whose user was disabled, deleted or signed out at the provider goes
// on until its access token ends (FACTS COG-SO-03). A probe asks the provider's
// userInfo in between (FACTS COG-UI-02).

const (
	// probeTimeout bounds a probe: requests wait for it.
	probeTimeout = 3 * time.Second
	// forgetProbesEvery is how often probes that no longer matter are forgotten.
	forgetProbesEvery = time.Minute
)

// probes remembers when sessions were probed here. The activity cookie tells
// the other replicas, and this memory those who leave that cookie out.
type probes struct {
	calls singleflight.Group

	mu    sync.Mutex
	last  map[session.ID]time.Time // session → its last probe
	swept time.Time
}

// probe asks the provider at most once per interval and session; requests that
// come meanwhile wait for the same answer. The error is [refresh.ErrRejected]:
// the user is no longer good. A provider that cannot be asked changes nothing.
func (h *Handler) probe(ctx context.Context, visit *refresh.RequestSession, route time.Duration) error {
	every := shorter(route, h.cfg.ProbeInterval)
	now := h.cfg.Now()
	if every <= 0 || h.cfg.Alive == nil || now.Sub(visit.Probed()) < every {
		return nil
	}
	id := visit.Session.ID
	if last := h.probes.lastOf(id); now.Sub(last) < every {
		visit.MarkProbed(last)
		return nil
	}
	_, err, _ := h.probes.calls.Do(string(id[:]), func() (any, error) {
		if now.Sub(h.probes.lastOf(id)) < every {
			return nil, nil // another request's probe ended since the look above
		}
		err := h.ask(context.WithoutCancel(ctx), visit)
		if err == nil { // else whoever opened the session before must learn of its end, too
			h.probes.note(id, now, every)
		}
		return nil, err
	})
	visit.MarkProbed(now)
	return err
}

// ask makes one probe. A refusal is confirmed with the refresh token before it
// counts: our clock and the provider's may differ, and a race must not end a
// session.
func (h *Handler) ask(ctx context.Context, visit *refresh.RequestSession) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := h.cfg.Alive(ctx, visit.Session.Access, visit.Session.Subject)
	if err == nil {
		h.metrics.Probes.WithLabelValues("ok").Inc()
		return nil
	}
	if errors.Is(err, provider.ErrRejected) && errors.Is(visit.Refresh(ctx, refresh.Refused), refresh.ErrRejected) {
		h.metrics.Probes.WithLabelValues("ended").Inc()
		h.cfg.Log.InfoContext(ctx, "session ended: the provider no longer knows its user", "session", visit.Session.ID, "sub", visit.Session.Subject)
		return refresh.ErrRejected
	}
	h.metrics.Probes.WithLabelValues("unknown").Inc()
	h.cfg.Log.WarnContext(ctx, "probe without an answer, session kept", "session", visit.Session.ID, "error", err.Error())
	return nil
}

// shorter is the shorter of two intervals, of which 0 is never.
func shorter(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

func (p *probes) lastOf(id session.ID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[id]
}

func (p *probes) note(id session.ID, now time.Time, every time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = make(map[session.ID]time.Time)
	}
	p.last[id] = now
	if now.Sub(p.swept) < forgetProbesEvery {
		return
	}
	p.swept = now
	for other, last := range p.last {
		if now.Sub(last) >= every {
			delete(p.last, other)
		}
	}
}

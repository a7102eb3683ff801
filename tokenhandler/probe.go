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

const (
	// probeTimeout bounds a probe, because requests wait for it.
	probeTimeout = 3 * time.Second
	// sweepProbesEvery is how often the prober forgets probes that are too old to
	// matter.
	sweepProbesEvery = time.Minute
)

// prober asks the provider whether the users of sessions may still use their access
// tokens. Without it, a user who was disabled, deleted or signed out at the
// provider keeps a session until its access token expires.
//
// It remembers when this process probed a session. The activity cookie tells the
// other replicas.
type prober struct {
	cfg   *Config
	calls singleflight.Group

	mu    sync.Mutex
	last  map[session.ID]time.Time // session → its last probe
	swept time.Time
}

// check probes a session unless that was done within interval or
// Config.ProbeInterval, whichever is shorter. Concurrent requests of a session
// share one probe. The error is [refresh.ErrRejected] if the user may not use the
// session any more. If the provider cannot be asked, the session stays.
func (p *prober) check(ctx context.Context, current *refresh.RequestSession, interval time.Duration) error {
	interval = shorter(interval, p.cfg.ProbeInterval)
	now := p.cfg.Now()
	if interval <= 0 || p.cfg.Alive == nil || now.Sub(current.Probed()) < interval {
		return nil
	}
	id := current.Session.ID
	if last := p.lastProbe(id); now.Sub(last) < interval {
		current.MarkProbed(last)
		return nil
	}
	_, err, _ := p.calls.Do(string(id[:]), func() (any, error) {
		if now.Sub(p.lastProbe(id)) < interval {
			return nil, nil // another request has just finished a probe
		}
		err := p.probe(context.WithoutCancel(ctx), current)
		if err == nil { // after an error, requests that have opened the session already must get it, too
			p.remember(id, now, interval)
		}
		return nil, err
	})
	current.MarkProbed(now)
	return err
}

// probe asks the provider once. If it refuses the access token, the refresh token
// decides: the clocks may differ, and a refresh may just have replaced the token.
func (p *prober) probe(ctx context.Context, current *refresh.RequestSession) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := p.cfg.Alive(ctx, current.Session.Access, current.Session.Subject)
	if err == nil {
		p.cfg.Metrics.Probes.WithLabelValues("ok").Inc()
		return nil
	}
	if errors.Is(err, provider.ErrRejected) && errors.Is(current.Refresh(ctx, refresh.Refused), refresh.ErrRejected) {
		p.cfg.Metrics.Probes.WithLabelValues("ended").Inc()
		p.cfg.Log.InfoContext(ctx, "session ended: the provider no longer knows its user", "session", current.Session.ID, "sub", current.Session.Subject)
		return refresh.ErrRejected
	}
	p.cfg.Metrics.Probes.WithLabelValues("unknown").Inc()
	p.cfg.Log.WarnContext(ctx, "probe without an answer, session kept", "session", current.Session.ID, "error", err.Error())
	return nil
}

// shorter returns the shorter of two intervals; 0 means never.
func shorter(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

func (p *prober) lastProbe(id session.ID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[id]
}

// remember notes a probe, and forgets those that are older than interval.
func (p *prober) remember(id session.ID, now time.Time, interval time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = make(map[session.ID]time.Time)
	}
	p.last[id] = now
	if now.Sub(p.swept) < sweepProbesEvery {
		return
	}
	p.swept = now
	for other, last := range p.last {
		if now.Sub(last) >= interval {
			delete(p.last, other)
		}
	}
}

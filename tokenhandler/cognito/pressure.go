package cognito

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

const (
	// DefaultMaxRPS and a burst of a fifth of it are the 120 calls a second that
	// Cognito grants to a pool by default (FACTS A.9, UserAuthentication).
	DefaultMaxRPS = 100
	burstShare    = 5
	// slowdown is what a refusal leaves of the rate. In a storm against a limit of
	// a fifth of ours, at half the rate calls were shed that this serves in time.
	slowdown = 0.7
	// leastRPS is where that stops: at less, nobody would be served in time.
	leastRPS = 1
	// recovery is the part of the limit that each answered call brings back after
	// a refusal. At 100 a second the full rate is back some seconds after the
	// provider takes it; at 1 a second it grows by a tenth a second.
	recovery = 1000

	// maxWaiting bounds the calls that wait. Each holds a browser's request, some
	// 20 KB: 40 MB.
	maxWaiting = 2000
	// answerTime is left of a caller's deadline when a call is sent: one that is
	// cut off in the middle of a rotation loses the only good refresh token.
	answerTime = 2 * time.Second
	// optionalWait is how long a call waits that nobody waits for.
	optionalWait = 2 * time.Second
	// optionalMargin is what an access token must have left for that: a session
	// stops using it 5 seconds before its end.
	optionalMargin = 10 * time.Second

	// firstBackoff doubles with each refusal in a row, up to maxBackoff: the
	// provider counts by the second, so a quarter of one is worth a try, and
	// whatever somebody waits for outlasts the longest. The rate falls meanwhile.
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 2 * time.Second
	// longestPause bounds Retry-After: a slip of the provider must not stop all
	// logins for an hour.
	longestPause = 30 * time.Second
)

// pressure keeps the calls of this process under the provider's quota (FACTS
// A.9, COG-QUO-01). A call over the rate waits for its turn, first come first
// served, logins and refreshes alike: so nothing starves. One that could not be
// sent in time is shed at once. After a 429 nothing is sent for a while, and
// then at a lower rate, which grows again with every answer.
//
// It goes by the machine's monotonic clock, as contexts and [rate.Limiter] do,
// and not by the injected one, which is for what tokens say.
type pressure struct {
	most    rate.Limit
	timeout time.Duration // longest wait
	metrics *Metrics
	// turn belongs to the call that is sent next.
	turn  *semaphore.Weighted
	limit *rate.Limiter

	mu          sync.Mutex
	waiting     int
	pausedUntil time.Time
	slowed      time.Time // when the rate was lowered last
	refusals    int       // 429s in a row
}

// shedError says that a call was not sent because it could not be in time.
type shedError struct{ after time.Duration }

func (*shedError) Error() string { return "too many calls to the provider are waiting" }

func newPressure(cfg Config) *pressure {
	most := cfg.MaxRPS
	if most <= 0 {
		most = DefaultMaxRPS
	}
	return &pressure{
		most: rate.Limit(most), timeout: cfg.Timeout, metrics: cfg.Metrics,
		turn: semaphore.NewWeighted(1), limit: rate.NewLimiter(rate.Limit(most), burst(rate.Limit(most))),
	}
}

func burst(r rate.Limit) int { return max(1, int(math.Round(float64(r)/burstShare))) }

func monotonic() time.Time { return time.Now() } //nolint:forbidigo // see pressure

// patience is until when a call may wait: for its turn as long as for its
// answer, but never past the time that its answer takes.
func (p *pressure) patience(ctx context.Context, c call) time.Time {
	now, wait := monotonic(), p.timeout
	if c.optional {
		wait = min(wait, optionalWait)
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := deadline.Sub(now)
		wait = min(wait, left-min(answerTime, left/2))
	}
	return now.Add(wait)
}

// admit returns when the call may be sent. The error is a [*shedError], at once
// if it is foreseeable, or ctx's own if the caller left.
func (p *pressure) admit(ctx context.Context, c call, until time.Time) error {
	start := monotonic()
	if expected, ok := p.join(start, until); !ok {
		return p.shed(c, expected)
	}
	defer p.leave()
	bounded, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if err := p.next(bounded); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return p.shed(c, p.expected(monotonic()))
	}
	p.metrics.WaitSeconds.Observe(monotonic().Sub(start).Seconds())
	return nil
}

func (p *pressure) shed(c call, expected time.Duration) error {
	p.metrics.Shed.WithLabelValues(c.endpoint).Inc()
	return &shedError{after: min(expected, longestPause)}
}

// next waits until all who came earlier were sent, a pause is over and the rate
// allows one more.
func (p *pressure) next(ctx context.Context) error {
	if err := p.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer p.turn.Release(1)
	for {
		left := p.pauseLeft(monotonic())
		if left <= 0 {
			return p.limit.Wait(ctx)
		}
		if err := pause(ctx, left); err != nil {
			return err
		}
	}
}

// join enters the queue, if its end can be reached in time.
func (p *pressure) join(now, until time.Time) (expected time.Duration, ok bool) {
	expected = p.expected(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting >= maxWaiting || now.Add(expected).After(until) {
		return expected, false
	}
	p.waiting++
	p.metrics.Waiting.Inc()
	return expected, true
}

func (p *pressure) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
	p.metrics.Waiting.Dec()
}

// expected is how long a call that comes now has to wait.
func (p *pressure) expected(now time.Time) time.Duration {
	left := p.pauseLeft(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	ahead := float64(p.waiting) + 1 - p.limit.TokensAt(now.Add(left))
	return left + time.Duration(max(0, ahead)/float64(p.limit.Limit())*float64(time.Second))
}

func (p *pressure) pauseLeft(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.pausedUntil.Sub(now))
}

// learn takes note of an answer to a call that was sent then. It reports
// whether the provider refused to look at the call and a new try before until
// makes sense.
func (p *pressure) learn(answer *http.Response, sent, until time.Time) (again bool) {
	now, limited := monotonic(), rateLimited(answer)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case sent.Before(p.slowed):
		// Of the calls that were under way at a refusal, the others tell nothing new.
	case limited:
		p.slowed = now
		p.pausedUntil = later(p.pausedUntil, now.Add(backoff(p.refusals)))
		p.refusals++
		p.setRate(max(leastRPS, p.limit.Limit()*slowdown))
	default:
		p.refusals = 0
		p.setRate(min(p.most, p.limit.Limit()+p.most/recovery))
	}
	if limited {
		p.pausedUntil = later(p.pausedUntil, now.Add(min(retryAfter(answer), longestPause)))
	}
	return limited && p.pausedUntil.Before(until)
}

func (p *pressure) setRate(r rate.Limit) {
	if r = min(r, p.most); r != p.limit.Limit() {
		p.limit.SetLimit(r)
		p.limit.SetBurst(burst(r))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// backoff is the pause after so many earlier refusals in a row: half of it
// sure, half of it by chance, so that replicas do not come back together.
func backoff(refusals int) time.Duration {
	half := min(firstBackoff<<min(refusals, 10), maxBackoff) / 2
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return half + time.Duration(float64(half)*float64(binary.BigEndian.Uint32(random[:]))/math.MaxUint32)
}

// rateLimited reports whether the provider did not look at a call because of
// its quota: 429, or Cognito's API with a 400 of its own.
func rateLimited(answer *http.Response) bool {
	return answer.StatusCode == http.StatusTooManyRequests ||
		(answer.StatusCode == http.StatusBadRequest && strings.HasPrefix(answer.Header.Get("X-Amzn-Errortype"), "TooManyRequestsException"))
}

// retryAfter reads Retry-After in seconds (RFC 9110 §10.2.3), an hour at most;
// 0 without one.
func retryAfter(answer *http.Response) time.Duration {
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}

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
	// DefaultMaxRPS with a burst of a fifth is the 120 calls a second that Cognito
	// grants to a pool by default (README "Quotas", UserAuthentication).
	DefaultMaxRPS = 100
	burstShare    = 5
	// slowdown is the factor by which a 429 lowers the rate. A test against a
	// provider that takes a fifth of the configured rate refused callers with a
	// factor of 0.5, and served all of them in time with 0.7.
	slowdown = 0.7
	// minRPS is the lowest rate: below it no caller would be served in time.
	minRPS = 1
	// recovery is the divisor of the configured rate by which each answered call
	// raises the rate again after a 429. At 100 calls a second the full rate is back
	// after some seconds. At 1 call a second the rate grows by a tenth each second.
	recovery = 1000

	// maxWaiting is the largest number of calls that wait. Each of them holds a
	// browser's request of about 20 KB: together 40 MB.
	maxWaiting = 2000
	// answerTime is reserved for the answer when a caller has a deadline: a refresh
	// that is cut off after a rotation loses the only valid refresh token.
	answerTime = 2 * time.Second
	// optionalWait is the longest wait of an optional call.
	optionalWait = 2 * time.Second
	// optionalMargin is the remaining life of an access token from which on its
	// refresh is optional. A session stops using a token 5 seconds before its end.
	optionalMargin = 10 * time.Second

	// firstBackoff is the pause after a 429. It doubles with each further 429 in a
	// row up to maxBackoff. The provider counts calls by the second, so a quarter of
	// a second is worth a try.
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 2 * time.Second
	// maxPause is the longest Retry-After that is honoured: a mistake of the
	// provider's must not stop all logins for an hour.
	maxPause = 30 * time.Second
)

// quota keeps the calls of this process below the provider's quota. A call above
// the rate waits until the calls before it are sent. Logins and refreshes wait in
// one queue, so neither starves. A call that could not be sent before its
// deadline is refused at once, see [shedError]. After a 429 nothing is sent for a
// while; then the rate is lower, and each answer raises it again.
//
// quota uses the monotonic clock of the machine, as contexts and [rate.Limiter]
// do. The injected clock is only for what tokens say.
type quota struct {
	maxRate rate.Limit
	timeout time.Duration // longest wait
	metrics *Metrics
	// turn is held by the call that is sent next.
	turn  *semaphore.Weighted
	limit *rate.Limiter

	mu          sync.Mutex
	waiting     int
	pausedUntil time.Time
	slowedAt    time.Time // when a 429 lowered the rate last
	refusals    int       // 429s in a row
}

// shedError means that a call was not sent because its turn would have come too
// late.
type shedError struct{ after time.Duration }

func (*shedError) Error() string { return "too many calls to the provider are waiting" }

func newQuota(cfg Config) *quota {
	most := cfg.MaxRPS
	if most <= 0 {
		most = DefaultMaxRPS
	}
	return &quota{
		maxRate: rate.Limit(most), timeout: cfg.Timeout, metrics: cfg.Metrics,
		turn: semaphore.NewWeighted(1), limit: rate.NewLimiter(rate.Limit(most), burst(rate.Limit(most))),
	}
}

func burst(r rate.Limit) int { return max(1, int(math.Round(float64(r)/burstShare))) }

func monotonic() time.Time { return time.Now() } //nolint:forbidigo // see quota

// sendDeadline returns the time until which a call may wait for its turn: the
// time-out of a call from now, but early enough before the deadline of ctx that
// there is time for the answer.
func (q *quota) sendDeadline(ctx context.Context, c call) time.Time {
	now, wait := monotonic(), q.timeout
	if c.optional {
		wait = min(wait, optionalWait)
	}
	if deadline, ok := ctx.Deadline(); ok {
		left := deadline.Sub(now)
		wait = min(wait, left-min(answerTime, left/2))
	}
	return now.Add(wait)
}

// wait returns nil when the call may be sent. The error is a [*shedError] if that
// is not possible before until (at once if it is foreseeable), or the error of
// ctx.
func (q *quota) wait(ctx context.Context, c call, until time.Time) error {
	start := monotonic()
	if expected, ok := q.enqueue(start, until); !ok {
		return q.shed(c, expected)
	}
	defer q.dequeue()
	bounded, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if err := q.waitTurn(bounded); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return q.shed(c, q.expectedWait(monotonic()))
	}
	q.metrics.WaitSeconds.Observe(monotonic().Sub(start).Seconds())
	return nil
}

func (q *quota) shed(c call, expected time.Duration) error {
	q.metrics.Shed.WithLabelValues(c.endpoint).Inc()
	return &shedError{after: min(expected, maxPause)}
}

// waitTurn waits until all earlier calls are sent, no pause is left and the rate
// allows one more call.
func (q *quota) waitTurn(ctx context.Context) error {
	if err := q.turn.Acquire(ctx, 1); err != nil {
		return err
	}
	defer q.turn.Release(1)
	for {
		left := q.pauseLeft(monotonic())
		if left <= 0 {
			return q.limit.Wait(ctx)
		}
		if err := sleep(ctx, left); err != nil {
			return err
		}
	}
}

// enqueue counts a call as waiting, unless its turn would come after until.
func (q *quota) enqueue(now, until time.Time) (expected time.Duration, ok bool) {
	expected = q.expectedWait(now)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting >= maxWaiting || now.Add(expected).After(until) {
		return expected, false
	}
	q.waiting++
	q.metrics.Waiting.Inc()
	return expected, true
}

func (q *quota) dequeue() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting--
	q.metrics.Waiting.Dec()
}

// expectedWait estimates how long a call that arrives at now has to wait.
func (q *quota) expectedWait(now time.Time) time.Duration {
	left := q.pauseLeft(now)
	q.mu.Lock()
	defer q.mu.Unlock()
	ahead := float64(q.waiting) + 1 - q.limit.TokensAt(now.Add(left))
	return left + time.Duration(max(0, ahead)/float64(q.limit.Limit())*float64(time.Second))
}

func (q *quota) pauseLeft(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(0, q.pausedUntil.Sub(now))
}

// observe adapts rate and pause to the answer of a call that was sent at sent. It
// reports whether the call should be sent again: the provider answered that it is
// over its quota, and the pause ends before until.
func (q *quota) observe(answer *http.Response, sent, until time.Time) (again bool) {
	now, limited := monotonic(), isRateLimited(answer)
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case sent.Before(q.slowedAt):
		// The call was under way when the rate was lowered: its answer says nothing
		// about the new rate.
	case limited:
		q.slowedAt = now
		q.pause(now.Add(backoff(q.refusals)))
		q.refusals++
		q.setRate(max(minRPS, q.limit.Limit()*slowdown))
	default:
		q.refusals = 0
		q.setRate(min(q.maxRate, q.limit.Limit()+q.maxRate/recovery))
	}
	if limited {
		q.pause(now.Add(min(retryAfter(answer), maxPause)))
	}
	return limited && q.pausedUntil.Before(until)
}

// pause extends the pause to until. The caller holds mu.
func (q *quota) pause(until time.Time) {
	if until.After(q.pausedUntil) {
		q.pausedUntil = until
	}
}

// setRate sets the rate and its burst. The caller holds mu.
func (q *quota) setRate(r rate.Limit) {
	if r = min(r, q.maxRate); r != q.limit.Limit() {
		q.limit.SetLimit(r)
		q.limit.SetBurst(burst(r))
	}
}

// backoff returns the pause after this number of earlier 429s in a row. Half of
// it is random, so that replicas do not try again at the same moment.
func backoff(refusals int) time.Duration {
	half := min(firstBackoff<<min(refusals, 10), maxBackoff) / 2
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return half + time.Duration(float64(half)*float64(binary.BigEndian.Uint32(random[:]))/math.MaxUint32)
}

// isRateLimited reports whether the provider refused a call because of its quota,
// and so did not process it: by 429, or by the 400 of Cognito's API.
func isRateLimited(answer *http.Response) bool {
	return answer.StatusCode == http.StatusTooManyRequests ||
		(answer.StatusCode == http.StatusBadRequest && strings.HasPrefix(answer.Header.Get("X-Amzn-Errortype"), "TooManyRequestsException"))
}

// retryAfter returns Retry-After in seconds (RFC 9110 §10.2.3), at most an hour,
// or 0 without one.
func retryAfter(answer *http.Response) time.Duration {
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}

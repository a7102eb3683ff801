package cognito

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

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

	// maxWaiting is the largest number of refreshes that wait, and of other calls. Each
	// of them holds a browser's request of about 20 KB: together 80 MB.
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
// the rate waits in [lanes] for its turn: refreshes never wait behind logins, and
// no address can keep the logins of other addresses waiting. A call that could not be
// sent before its deadline is refused at once, see [shedError]. After a 429 nothing
// is sent for a while; then the rate is lower, and each answer raises it again.
//
// quota uses the monotonic clock of the machine, as contexts and [rate.Limiter]
// do. The injected clock is only for what tokens say.
type quota struct {
	maxRate rate.Limit
	timeout time.Duration // longest wait
	metrics *Metrics

	mu      sync.Mutex
	limit   *rate.Limiter
	lanes   lanes
	refused refusals
	// changed wakes [quota.serve] while it waits: a call has come that may be sent
	// earlier, or the rate or the pause has changed. It is nil unless calls wait.
	changed chan struct{}
	// pausedUntil is when calls may be sent again after a 429. slowedAt is when a 429
	// lowered the rate last. limitedInARow is the number of 429s in a row.
	pausedUntil, slowedAt time.Time
	limitedInARow         int
}

// shedError means that a call was not sent because its turn would have come too
// late.
type shedError struct{ after time.Duration }

func (*shedError) Error() string { return "too many calls to the provider are waiting" }

func newQuota(cfg Config) *quota {
	most := rate.Limit(cfg.MaxRPS)
	if most <= 0 {
		most = DefaultMaxRPS
	}
	return &quota{
		maxRate: most, timeout: cfg.Timeout, metrics: cfg.Metrics, refused: make(refusals),
		limit: rate.NewLimiter(most, burst(most)), lanes: newLanes(most),
	}
}

func burst(r rate.Limit) int { return max(1, int(math.Round(float64(r)/burstShare))) }

// reserve returns how many calls of the burst only refreshes may use: half of them.
func reserve(r rate.Limit) float64 { return float64(burst(r) / 2) }

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
	w, expected := q.enqueue(c, start, until)
	if w == nil {
		return q.shed(c, expected)
	}
	bounded, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	select {
	case <-w.done:
	case <-bounded.Done():
		if q.leave(w) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return q.shed(c, q.expectedWait(c))
		}
	}
	if w.shed {
		return q.shed(c, q.expectedWait(c))
	}
	if err := ctx.Err(); err != nil {
		return err // its turn came as the caller left: the code is not to be sent
	}
	q.metrics.WaitSeconds.Observe(monotonic().Sub(start).Seconds())
	return nil
}

func (q *quota) shed(c call, expected time.Duration) error {
	q.metrics.Shed.WithLabelValues(c.endpoint).Inc()
	return &shedError{after: min(expected, maxPause)}
}

// enqueue lets a call wait, unless its turn would come after until. If too many
// wait, another call of the address with the most calls has to go.
func (q *quota) enqueue(c call, now, until time.Time) (w *waiter, expected time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	suspect := q.refused.suspects(c.client, now)
	expected = q.expected(c, suspect, now)
	if now.Add(expected).After(until) {
		return nil, expected
	}
	w = &waiter{done: make(chan struct{}), lane: c.lane(), client: c.client}
	dropped := q.lanes.push(w, suspect)
	q.metrics.Waiting.Set(float64(q.lanes.len()))
	if dropped == w {
		return nil, expected
	}
	if dropped != nil {
		dropped.shed = true
		close(dropped.done)
	}
	if q.changed == nil {
		q.changed = make(chan struct{}, 1)
		go q.serve(q.changed)
	}
	q.wake()
	return w, expected
}

// leave removes a call that gave up. It returns false if the call has had its turn
// already.
func (q *quota) leave(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	removed := q.lanes.remove(w)
	q.metrics.Waiting.Set(float64(q.lanes.len()))
	q.wake()
	return removed
}

// wake lets [quota.serve] look again. The caller holds mu.
func (q *quota) wake() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// serve sends the waiting calls, one after another, until none waits.
func (q *quota) serve(changed <-chan struct{}) {
	for {
		pause, more := q.serveOne(monotonic())
		if !more {
			return
		}
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-changed:
			}
		}
	}
}

// serveOne lets the next call be sent if the rate and the provider's pause allow it
// now. Otherwise it returns how long to wait. It returns false when no call waits.
func (q *quota) serveOne(now time.Time) (pause time.Duration, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lanes.len() == 0 {
		q.changed = nil
		return 0, false
	}
	if left := q.pausedUntil.Sub(now); left > 0 {
		return left, true
	}
	w, pause := q.lanes.next(now, q.limit)
	if w == nil {
		return pause, true
	}
	q.limit.AllowN(now, 1)
	q.metrics.Waiting.Set(float64(q.lanes.len()))
	close(w.done)
	return 0, true
}

// expectedWait estimates how long such a call would have to wait now.
func (q *quota) expectedWait(c call) time.Duration {
	now := monotonic()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.expected(c, q.refused.suspects(c.client, now), now)
}

// expected is [quota.expectedWait]. The caller holds mu.
func (q *quota) expected(c call, suspect bool, now time.Time) time.Duration {
	left := max(0, q.pausedUntil.Sub(now))
	return left + q.lanes.expected(c, suspect, now.Add(left), q.limit)
}

// noteCode remembers whether the provider refused a code of client. The client's
// calls that wait change their place accordingly.
func (q *quota) noteCode(client netip.Prefix, refused bool) {
	now := monotonic()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused.note(client, refused, now)
	q.lanes.move(client, q.refused.suspects(client, now))
	q.wake()
}

// observe adapts rate and pause to the answer of a call that was sent at sent. It
// reports whether the call should be sent again: the provider answered that it is
// over its quota, and the pause ends before until.
func (q *quota) observe(answer *http.Response, sent, until time.Time) (again bool) {
	now, limited := monotonic(), isRateLimited(answer)
	q.mu.Lock()
	defer q.mu.Unlock()
	defer q.wake()
	switch {
	case sent.Before(q.slowedAt):
		// The call was under way when the rate was lowered: its answer says nothing
		// about the new rate.
	case limited:
		q.slowedAt = now
		q.pause(now.Add(backoff(q.limitedInARow)))
		q.limitedInARow++
		q.setRate(max(minRPS, q.limit.Limit()*slowdown))
	default:
		q.limitedInARow = 0
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
		q.lanes.setRate(r)
	}
}

// backoff returns the pause after this number of earlier 429s in a row. Half of
// it is random, so that replicas do not try again at the same moment.
func backoff(earlier int) time.Duration {
	half := min(firstBackoff<<min(earlier, 10), maxBackoff) / 2
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

// countDown turns a Retry-After that is a date into seconds (RFC 9110 §10.2.3). The date is
// one of the provider's clock, whose time the answer tells. now counts if it does not.
func countDown(answer *http.Response, now time.Time) {
	until, err := http.ParseTime(answer.Header.Get("Retry-After"))
	if err != nil {
		return
	}
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		now = date
	}
	answer.Header.Set("Retry-After", strconv.Itoa(int(math.Ceil(until.Sub(now).Seconds()))))
}

// retryAfter returns Retry-After in seconds (RFC 9110 §10.2.3), at most an hour,
// or 0 without one. [countDown] has made seconds of a date.
func retryAfter(answer *http.Response) time.Duration {
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}

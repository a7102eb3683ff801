package cognito

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// lane says with which other calls a call waits.
type lane int

const (
	// laneRefresh are refreshes of sessions. Their number is bounded by the number of
	// sessions, and a session that cannot refresh fails its user's requests.
	laneRefresh lane = iota
	// laneOther are revocations, sign-outs and questions about users, which only
	// sessions cause.
	laneOther
	// laneLogin are exchanges of codes. Anybody can cause them with made-up codes.
	laneLogin
)

const (
	// refreshesInARow is how many refreshes go before all other calls. After that, every
	// fourth call is another one as long as both wait: logins are slow while all
	// sessions refresh, but they do not stop.
	refreshesInARow = 20
	refreshesEach   = 3
	// suspectShare is the part of the rate that all addresses together have whose
	// codes were refused.
	suspectShare = 4
)

// lane returns the lane of a call.
func (c call) lane() lane {
	switch {
	case c.refresh:
		return laneRefresh
	case c.endpoint == endpointToken:
		return laneLogin
	}
	return laneOther
}

// waiter is a call that waits.
type waiter struct {
	done   chan struct{} // closed when the call has its turn or is shed
	shed   bool          // written before done is closed
	lane   lane
	client netip.Prefix
}

// lanes hold the calls that wait, and decide which is the next:
//
//  1. a refresh, but after [refreshesInARow] of them every fourth call is another;
//  2. in turn, a call of laneOther and a login;
//  3. among the logins, in turn, one of an address whose codes were refused and one of
//     another address. All the former together have a part of the rate, [suspectShare];
//  4. among the addresses of either kind, one login of each in turn.
//
// Calls other than refreshes also leave a part of the burst to refreshes, see
// [reserve].
//
// lanes are not safe for concurrent use.
type lanes struct {
	refreshes, others []*waiter
	logins, suspects  fairQueue
	// suspectLimit is the rate of suspects.
	suspectLimit *rate.Limiter
	refreshed    int  // refreshes that went before a call that waited, less their part
	otherLast    bool // whether the last call other than a refresh was of laneOther
	suspectLast  bool // whether the last login was a suspect's
}

func newLanes(r rate.Limit) lanes {
	l := lanes{suspectLimit: rate.NewLimiter(0, 1)}
	l.setRate(r)
	return l
}

// setRate sets the rate of all calls.
func (l *lanes) setRate(r rate.Limit) {
	l.suspectLimit.SetLimit(r / suspectShare)
	l.suspectLimit.SetBurst(max(1, burst(r)/suspectShare))
}

// len returns how many calls wait.
func (l *lanes) len() int { return len(l.refreshes) + l.withoutRefreshes() }

func (l *lanes) withoutRefreshes() int { return len(l.others) + l.logins.n + l.suspects.n }

// push adds a call; suspect says whether codes of its client were refused. If too many
// calls wait, it removes and returns one, which may be w: a call of the address that
// has the most.
func (l *lanes) push(w *waiter, suspect bool) (dropped *waiter) {
	if w.lane == laneRefresh {
		if len(l.refreshes) >= maxWaiting {
			return w
		}
		l.refreshes = append(l.refreshes, w)
		return nil
	}
	if l.withoutRefreshes() >= maxWaiting {
		if dropped = l.dropFor(w, suspect); dropped == w {
			return w
		}
	}
	if w.lane == laneOther {
		l.others = append(l.others, w)
	} else {
		l.queue(suspect).push(w)
	}
	return dropped
}

// dropFor makes room for w among the calls that are no refreshes. It returns the call
// that has to go: the last one of the address with the most calls, or w if its own
// address has as many.
func (l *lanes) dropFor(w *waiter, suspect bool) *waiter {
	most := &l.suspects
	if l.logins.longest() > l.suspects.longest() {
		most = &l.logins
	}
	own := len(l.queue(suspect).lists[w.client])
	if w.lane == laneOther {
		own = len(l.others)
	}
	if own >= most.longest() {
		return w
	}
	return most.dropLongest()
}

func (l *lanes) queue(suspect bool) *fairQueue {
	if suspect {
		return &l.suspects
	}
	return &l.logins
}

// remove removes a call that gave up. It returns false if the call does not wait.
func (l *lanes) remove(w *waiter) bool {
	switch w.lane {
	case laneRefresh:
		return removeFrom(&l.refreshes, w)
	case laneOther:
		return removeFrom(&l.others, w)
	case laneLogin:
	}
	return l.logins.remove(w) || l.suspects.remove(w)
}

// move moves the waiting logins of client to or from the suspects.
func (l *lanes) move(client netip.Prefix, suspect bool) {
	from := l.queue(!suspect)
	for _, w := range slices.Clone(from.lists[client]) {
		from.remove(w)
		l.queue(suspect).push(w)
	}
}

func removeFrom(list *[]*waiter, w *waiter) bool {
	i := slices.Index(*list, w)
	if i < 0 {
		return false
	}
	*list = slices.Delete(*list, i, i+1)
	return true
}

// next removes and returns the call whose turn it is. If limit, or the rate of the
// suspects, allows none yet, it returns how long that will take.
func (l *lanes) next(now time.Time, limit *rate.Limiter) (*waiter, time.Duration) {
	others := l.withoutRefreshes()
	if n := len(l.refreshes); n > 0 && (others == 0 || l.refreshed < refreshesInARow) {
		if wait := untilTokens(limit, 1, now); wait > 0 {
			return nil, wait
		}
		if others > 0 {
			l.refreshed++
		}
		return shift(&l.refreshes), 0
	}
	keep := reserve(limit.Limit())
	if len(l.refreshes) > 0 {
		keep = 0 // a refresh waits: nothing of the burst is left
	}
	if wait := untilTokens(limit, 1+keep, now); wait > 0 {
		return nil, wait
	}
	w, wait := l.nextOther(now)
	if w != nil {
		l.refreshed = max(0, l.refreshed-refreshesEach)
	} else if len(l.refreshes) > 0 {
		return shift(&l.refreshes), 0 // only suspects wait, and they have had their part
	}
	return w, wait
}

// nextOther is [lanes.next] for the calls that are no refreshes.
func (l *lanes) nextOther(now time.Time) (*waiter, time.Duration) {
	if len(l.others) > 0 && (!l.otherLast || l.logins.n+l.suspects.n == 0) {
		l.otherLast = true
		return shift(&l.others), 0
	}
	wait := untilTokens(l.suspectLimit, 1, now)
	suspect := l.suspects.n > 0 && wait <= 0
	if suspect && (!l.suspectLast || l.logins.n == 0) {
		l.suspectLimit.AllowN(now, 1)
		l.suspectLast, l.otherLast = true, false
		return l.suspects.pop(), 0
	}
	if l.logins.n > 0 {
		l.suspectLast, l.otherLast = false, false
		return l.logins.pop(), 0
	}
	if len(l.others) > 0 {
		return shift(&l.others), 0
	}
	return nil, wait
}

// untilTokens returns how long it takes until limit allows n calls.
func untilTokens(limit *rate.Limiter, n float64, now time.Time) time.Duration {
	missing := n - limit.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	// Rounded up, so that the tokens are there when the time has passed.
	return time.Duration(missing/float64(limit.Limit())*float64(time.Second)) + time.Microsecond
}

func shift(list *[]*waiter) *waiter {
	w := (*list)[0]
	*list = slices.Delete(*list, 0, 1)
	return w
}

// expected estimates how long a call that arrives at now waits for its turn.
func (l *lanes) expected(c call, suspect bool, now time.Time, limit *rate.Limiter) time.Duration {
	ahead, keep := len(l.refreshes), reserve(limit.Limit())
	logins := l.logins.n + l.suspects.n
	switch kind := c.lane(); {
	case kind == laneRefresh:
		keep = 0
	case kind == laneOther:
		ahead += len(l.others) + min(logins, len(l.others))
	case suspect:
		first := l.suspects.ahead(c.client) + 1
		return max(untilTokens(l.suspectLimit, float64(first), now), untilTokens(limit, float64(ahead+first)+keep, now))
	default:
		first := l.logins.ahead(c.client)
		first += min(l.suspects.n, first/(suspectShare-1))
		ahead += first + min(len(l.others), first)
	}
	return untilTokens(limit, float64(ahead+1)+keep, now)
}

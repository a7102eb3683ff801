package cognito

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// Lane says with which other calls a call waits.
type Lane = lane

// The lanes.
const (
	LaneRefresh = laneRefresh
	LaneOther   = laneOther
	LaneLogin   = laneLogin
)

// MaxWaiting is the largest number of refreshes that wait, and of other calls.
const MaxWaiting = maxWaiting

// Lanes are the calls that wait, with names, and the rate of all calls.
type Lanes struct {
	lanes  lanes
	limit  *rate.Limiter
	names  map[*waiter]string
	byName map[string]*waiter
}

// NewLanes returns lanes with that rate, and as many tokens as the burst has.
func NewLanes(perSecond float64) *Lanes {
	r := rate.Limit(perSecond)
	return &Lanes{newLanes(r), rate.NewLimiter(r, burst(r)), make(map[*waiter]string), make(map[string]*waiter)}
}

// Push lets a call wait, and returns the name of the one that had to go.
func (l *Lanes) Push(name string, lane Lane, client netip.Prefix, suspect bool) (dropped string) {
	w := &waiter{done: make(chan struct{}), lane: lane, client: client}
	l.names[w], l.byName[name] = name, w
	return l.names[l.lanes.push(w, suspect)]
}

// Next sends the next call, or returns how long that has to wait.
func (l *Lanes) Next(now time.Time) (name string, wait time.Duration) {
	w, wait := l.lanes.next(now, l.limit)
	if w == nil {
		return "", wait
	}
	l.limit.AllowN(now, 1)
	return l.names[w], 0
}

// Remove removes a call that gave up.
func (l *Lanes) Remove(name string) bool { return l.lanes.remove(l.byName[name]) }

// Move moves the logins of a client to or from the suspects.
func (l *Lanes) Move(client netip.Prefix, suspect bool) { l.lanes.move(client, suspect) }

// Len returns how many calls wait.
func (l *Lanes) Len() int { return l.lanes.len() }

// SetRate sets the rate of all calls.
func (l *Lanes) SetRate(perSecond float64) {
	r := rate.Limit(perSecond)
	l.limit.SetLimit(r)
	l.limit.SetBurst(burst(r))
	l.lanes.setRate(r)
}

// Spend uses up tokens of all calls.
func (l *Lanes) Spend(now time.Time, n int) { l.limit.AllowN(now, n) }

// Expected estimates how long a call would wait.
func (l *Lanes) Expected(lane Lane, client netip.Prefix, suspect bool, now time.Time) time.Duration {
	c := call{client: client}
	switch lane {
	case laneRefresh:
		c.endpoint, c.refresh = endpointToken, true
	case laneLogin:
		c.endpoint = endpointToken
	case laneOther:
		c.endpoint = endpointRevocation
	}
	return l.lanes.expected(c, suspect, now, l.limit)
}

// Refusals remember the addresses whose codes were refused.
type Refusals struct{ refused refusals }

// MaxRefusals bounds how many addresses are remembered.
const MaxRefusals = maxRefusals

// NewRefusals remembers nothing.
func NewRefusals() *Refusals { return &Refusals{make(refusals)} }

// Note remembers whether a code was refused.
func (r *Refusals) Note(client netip.Prefix, refused bool, now time.Time) {
	r.refused.note(client, refused, now)
}

// Suspects reports whether more codes of client were refused lately than accepted.
func (r *Refusals) Suspects(client netip.Prefix, now time.Time) bool {
	return r.refused.suspects(client, now)
}

// Len returns how many addresses are remembered.
func (r *Refusals) Len() int { return len(r.refused) }

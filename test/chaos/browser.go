package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const (
	// parallel is how many requests a browser makes at once.
	parallel = 4
	// leastThought and mostThought bound the pause between two bursts.
	leastThought = 200 * time.Millisecond
	mostThought  = 1200 * time.Millisecond
	// answerTime is how long any answer may take: as long as the lease that a killed
	// replica left behind, and some more on a busy machine.
	answerTime = leaseTime + 20*time.Second
	// keepEvents is how many of a browser's latest requests are kept for the report.
	keepEvents = 60
)

// outcome is the result of a request.
type outcome int

const (
	served outcome = iota
	// unavailable: 503 with Retry-After.
	unavailable
	// limited: 429 with Retry-After, while the provider refuses calls.
	limited
	// broken: the harness killed the replica that served it, or cut the connection.
	killedUnder
	cutOff
	// stalled: the API refused the token, which expired on its way, because the machine
	// stood still or was slow.
	stalled
	// lost: the user was logged out.
	lost
	failed
)

func (o outcome) String() string {
	return [...]string{"served", "unavailable", "limited", "killed under", "cut off", "stalled", "LOST", "FAILED"}[o]
}

// browser is the browser of one user.
type browser struct {
	user  string
	ua    *useragent.UA
	world *world
	gone  atomic.Bool // logged out

	mu     sync.Mutex
	number int
	events []string
}

func newBrowser(tb testing.TB, w *world, user string) *browser {
	tb.Helper()
	return &browser{user: user, ua: useragent.New(tb, w.balancer.URL), world: w}
}

// login logs in at the provider, which asks for no password.
func (b *browser) login() error {
	b.world.pool.LoginAs(b.user)
	answer := b.ua.Navigate("/auth/login")
	if _, in := b.ua.Cookie(testkit.Cookies(b.world.balancer.URL).Session); !in {
		return fmt.Errorf("%s: the login ended at %s with status %d (%w)", b.user, answer.URL, answer.Status, answer.Err)
	}
	return nil
}

// live makes bursts of requests until ctx ends or the browser is logged out.
func (b *browser) live(ctx context.Context) {
	for pause(ctx, between(leastThought, mostThought)) && !b.gone.Load() {
		b.burst() //nolint:contextcheck // a burst ends as a whole; each request is bounded
		b.ua.ForgetHistory()
	}
}

// burst does what a page does when it opens: it makes some requests to the API and
// asks who is logged in.
func (b *browser) burst() {
	var requests sync.WaitGroup
	for i := range parallel {
		requests.Go(func() {
			switch i {
			case 0:
				b.request(http.MethodGet, "/auth/session", "")
			case 1:
				b.request(http.MethodPost, "/api/things", `{"a":"thing"}`)
			default:
				b.request(http.MethodGet, "/api/things/"+strconv.Itoa(i), "")
			}
		})
	}
	requests.Wait()
}

// request makes one request and counts its outcome.
func (b *browser) request(method, path, body string) outcome {
	b.mu.Lock()
	b.number++
	id := b.user + "." + strconv.Itoa(b.number)
	b.mu.Unlock()
	abort := make(chan struct{})
	timer := time.AfterFunc(answerTime, func() { close(abort) })
	defer timer.Stop()
	begun := time.Now()
	answer := b.ua.Fetch(method, path, body, useragent.FetchOptions{
		Header: map[string]string{requestHeader: id, "Content-Type": "application/json"}, Abort: abort,
	})
	took := time.Since(begun)
	fate, way := b.world.balancer.fate(id)
	o := judge(path, answer, fate)
	if o == failed && answer.Status == http.StatusUnauthorized && (b.world.stalls.during(begun, begun.Add(took+stallTick)) || expiredOnItsWay(answer, took)) {
		o = stalled
	}
	b.note(begun, took, o, fmt.Sprintf("%s %s: %s by way of %s", method, path, describe(answer), way))
	if o == lost {
		b.gone.Store(true)
	}
	b.world.count(o, took, answer.Err == nil)
	return o
}

// expiredOnItsWay reports whether the token of a request expired while the request was
// under way, for longer than the token handler expects requests to take.
func expiredOnItsWay(answer *useragent.Response, took time.Duration) bool {
	ago, err := time.ParseDuration(answer.Header.Get(expiredHeader))
	return err == nil && took > tokenMargin && ago < took
}

// judge returns the outcome that an answer means for the user.
func judge(path string, answer *useragent.Response, fate string) outcome {
	var body struct {
		Authenticated bool
		Code          string
	}
	_ = json.Unmarshal(answer.Body, &body)
	switch {
	case answer.Err != nil && fate == fateKilled:
		return killedUnder
	case answer.Err != nil && fate == fateCut:
		return cutOff
	case answer.Err != nil:
		return failed
	case answer.Status == http.StatusOK && path == "/auth/session" && !body.Authenticated:
		return lost
	case answer.Status == http.StatusOK:
		return served
	case answer.Status == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") != "":
		return unavailable
	case answer.Status == http.StatusTooManyRequests && answer.Header.Get("Retry-After") != "":
		return limited
	case answer.Status == http.StatusUnauthorized && (body.Code == "session_expired" || body.Code == "not_authenticated"):
		return lost
	}
	return failed
}

func describe(answer *useragent.Response) string {
	if answer.Err != nil {
		return answer.Err.Error()
	}
	var summary strings.Builder
	summary.WriteString(strconv.Itoa(answer.Status))
	var problem struct{ Code, Detail string }
	if json.Unmarshal(answer.Body, &problem) == nil && problem.Code != "" {
		summary.WriteString(" " + problem.Code + " (" + problem.Detail + ")")
	}
	for _, line := range answer.Header.Values("Set-Cookie") {
		if name, value, _ := strings.Cut(line, "="); value != "" {
			summary.WriteString(" sets " + name)
		}
	}
	return summary.String()
}

func (b *browser) note(begun time.Time, took time.Duration, o outcome, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	line := fmt.Sprintf("%8s + %5d ms  %-11s  %s", b.world.since(begun), took.Milliseconds(), o, what)
	b.events = append(b.events, line)
	if len(b.events) > keepEvents {
		b.events = b.events[1:]
	}
	if o == failed || o == lost {
		b.world.loss(loss{b.user, time.Now(), o, strings.Join(b.events, "\n")})
	}
}

// wellAtLast makes one request of each kind, again and again until all are served.
func (b *browser) wellAtLast(ctx context.Context) bool {
	well := false
	until(ctx, answerTime, func() bool { //nolint:contextcheck // each request is bounded
		well = !b.gone.Load() && b.request(http.MethodGet, "/api/last", "") == served
		return well || b.gone.Load()
	})
	return well && b.request(http.MethodGet, "/auth/session", "") == served //nolint:contextcheck // it is bounded
}

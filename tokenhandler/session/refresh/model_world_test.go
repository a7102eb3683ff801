package refresh_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/replicastest"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

const (
	modelGrace   = 30 * time.Second
	modelTimeout = 10 * time.Second
	modelLease   = modelTimeout + 2*time.Second
	// modelAftermath is how long after an outage its traces may be seen: a wait
	// for twice a lease, and the pause that the provider asked for.
	modelAftermath = 2*modelLease + 8*time.Second
)

// scenario is the configuration that a seed chooses.
type scenario struct {
	provider         string // strict: rotation without a grace; graced; steady: no rotation
	grace            time.Duration
	access           time.Duration
	idle, absolute   time.Duration
	replicas         int
	store            bool
	spread           time.Duration // how long a revocation takes to reach the other replicas
	browsers, users  int
	latency          time.Duration // the provider's, at most
	refreshTokenEnds time.Duration // 0 if the provider does not say
	refreshless      bool          // a login gives no refresh token
}

func (s scenario) rotates() bool { return s.provider != "steady" }

// mayRace reports whether two calls with one refresh token do no harm if they are made
// within the ten seconds that the service relies on.
func (s scenario) mayRace() bool { return !s.rotates() || s.grace >= 10*time.Second }

func newScenario(r *rng) scenario {
	s := scenario{
		provider: pick(r, "strict", "strict", "graced", "steady"),
		access:   pick(r, 5*time.Minute, time.Hour, time.Hour), idle: pick(r, 15*time.Minute, time.Hour, 3*time.Hour),
		absolute: pick(r, 4*time.Hour, 12*time.Hour), replicas: 1 + r.below(3), spread: pick(r, 0, 300*time.Millisecond),
		browsers: 1 + r.below(3), users: 1 + r.below(2), latency: pick(r, 100*time.Millisecond, 2*time.Second, 8*time.Second),
		refreshTokenEnds: pick(r, 0, 0, 0, 3*time.Hour),
	}
	s.store = s.replicas > 1 && r.chance(75) || r.chance(20)
	if s.replicas > 1 && s.provider == "strict" && r.chance(75) {
		s.store = true // without one they would lose sessions
	}
	s.refreshless = r.chance(3)
	if s.provider == "graced" {
		s.grace = pick(r, 10*time.Second, time.Minute)
	}
	return s
}

// world is one scenario that is played. mu guards what the test changes and checks; it
// is not held during calls into the package.
type world struct {
	t     *testing.T
	seed  uint64
	steps int
	cfg   scenario
	plan  rng // used by the driver only
	start time.Time

	keys    *seal.Keyring
	names   session.Names
	metrics *refresh.Metrics
	store   *replicastest.Fake // nil without one
	central *memory.List
	// mendStore ends the store's outage, at storeMends.
	mendStore  *time.Timer
	storeMends time.Time
	running    sync.WaitGroup

	mu              sync.Mutex
	noise           rng // latencies
	places          []*process
	processes       []*process // also those that have ended
	browsers        []*browser
	sessions        []*modelSession
	byName          map[session.Name]*modelSession
	sessionCookies  map[string]cookieFact // value of a session cookie → what it holds
	activityCookies map[string]activeFact // the same for activity cookies
	ended           map[string]time.Time  // user → when all sessions of that user were ended
	access          map[string]*tokenFact // access token → what is known of it
	refresh         map[string]*refreshFact
	useless         map[string]bool // refresh tokens that must be revoked
	troubles        []window
	outage          string // of the provider, until outEnds
	outEnds         time.Time
	storeUp         time.Time // since when the store works
	violation       string
	trace           []string
	counts          map[string]int
}

// window is a time in which something did not work.
type window struct{ from, to time.Time }

// browser has one set of cookies for all of its tabs.
type browser struct {
	n, user int
	jar     jar
	before  jar // the cookies before the session cookie changed last
}

// take applies the Set-Cookie lines of a response.
func (b *browser) take(t *testing.T, h http.Header) {
	t.Helper()
	had := maps.Clone(b.jar)
	b.jar.take(t, h)
	if b.jar[sessionCookie] != had[sessionCookie] {
		b.before = had
	}
}

// process is one process of a replica. When it ends, another one takes its place.
type process struct {
	w     *world
	place int
	n     int
	born  time.Time
	// ready is closed when the process serves.
	ready    chan struct{}
	m        *refresh.Manager
	sessions *session.Store
	list     *memory.List
	stop     context.CancelFunc
	requests sync.WaitGroup

	// guarded by world.mu
	crashed, draining, ended bool
	asked                    map[*modelSession]bool
	known                    map[*modelSession]knowledge
	gaveUp                   time.Time // when it gave up waiting for a lease
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	keys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{7}, seal.KeySize)})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, seed: seed, plan: rng{seed}, noise: rng{seed ^ 0xabcdef}, start: time.Now(), keys: keys,
		names: session.NewNames("session", false), metrics: refresh.NewMetrics(nil), central: memory.New(time.Now),
		byName: make(map[session.Name]*modelSession), sessionCookies: make(map[string]cookieFact), activityCookies: make(map[string]activeFact), ended: make(map[string]time.Time), useless: make(map[string]bool),
		access: make(map[string]*tokenFact), refresh: make(map[string]*refreshFact), counts: make(map[string]int),
	}
	w.cfg = newScenario(&w.plan)
	if w.cfg.store {
		w.store, w.storeUp = replicastest.NewFake(), w.start.Add(-time.Hour)
	}
	for i := range w.cfg.replicas {
		w.places = append(w.places, nil)
		w.begin(w.replace(i))
	}
	for i := range w.cfg.browsers {
		w.browsers = append(w.browsers, &browser{n: i, user: w.plan.below(w.cfg.users), jar: jar{}})
	}
	return w
}

// replace gives a replica a new process, which does not serve yet.
func (w *world) replace(place int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	proc := &process{
		w: w, place: place, ready: make(chan struct{}),
		asked: make(map[*modelSession]bool), known: make(map[*modelSession]knowledge),
	}
	if before := w.places[place]; before != nil {
		proc.n = before.n + 1
	}
	w.places[place] = proc
	w.processes = append(w.processes, proc)
	return proc
}

// begin starts the process. It knows what has been revoked.
func (w *world) begin(proc *process) {
	proc.list = memory.New(time.Now)
	for _, e := range w.central.Entries() {
		_, _ = proc.list.Add(e)
	}
	proc.sessions = session.NewStore(session.Config{
		Keys: w.keys, Names: w.names, IdleTimeout: w.cfg.idle, AbsoluteLifetime: w.cfg.absolute, Now: time.Now,
	})
	cfg := refresh.Config{
		Store: proc.sessions, Refresher: caller{proc}, Denied: denials{proc}, RefreshBefore: time.Minute,
		RefreshGrace: modelGrace, RefreshTimeout: modelTimeout, RotationGrace: w.cfg.grace,
		Now: time.Now, Log: slog.New(slog.DiscardHandler), Metrics: w.metrics, Discard: w.discard,
	}
	if w.store != nil {
		cfg.Replicas = link{proc}
	}
	proc.m = refresh.NewManager(cfg)
	proc.born = time.Now()
	proc.run()
	close(proc.ready)
}

// run starts the background work of a living process, until halt.
func (i *process) run() {
	ctx, stop := context.WithCancel(i.w.t.Context())
	i.w.mu.Lock()
	defer i.w.mu.Unlock()
	i.stop = stop
	aside := i.w.noise.between(0, time.Millisecond)
	if i.alive() {
		i.w.running.Go(func() {
			time.Sleep(aside) // no two processes do it at the same time
			i.m.Run(ctx)
		})
	}
}

func (i *process) halt() {
	i.w.mu.Lock()
	defer i.w.mu.Unlock()
	i.stop()
}

func (i *process) String() string { return fmt.Sprintf("replica %d.%d", i.place, i.n) }

// knowledge is the latest generation that a process knows, since when, and the one
// that it knew before.
type knowledge struct {
	generation, before uint64
	since              time.Time
}

// at is the latest generation that was known before now. Things that happen at the
// same moment may happen in either order.
func (k knowledge) at(now time.Time) uint64 {
	if k.since.Equal(now) {
		return k.before
	}
	return k.generation
}

// learns notes a generation that the process cannot have missed: it has a record,
// because it asked for a refresh of the session before. The caller holds world.mu.
func (i *process) learns(l *modelSession, generation uint64) {
	k, now := i.known[l], time.Now()
	if !i.asked[l] || generation <= k.generation {
		return
	}
	if !k.since.Equal(now) {
		k.before, k.since = k.generation, now
	}
	k.generation = generation
	i.known[l] = k
}

// dead reports whether the process was killed, or has ended.
func (i *process) dead() bool {
	i.w.mu.Lock()
	defer i.w.mu.Unlock()
	return !i.alive()
}

// wait lets time go by during a call of the process. A process that was killed never
// gets the response.
func (i *process) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return ctx.Err()
	}
	if i.dead() {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// denials is the deny list of a process. It learns of its own entries at once, and of
// the others a little later.
type denials struct{ proc *process }

func (d denials) Denied(name session.Name, sub, sid string, begun time.Time) bool {
	return d.proc.list.Denied(name, sub, sid, begun)
}

func (d denials) Deny(name session.Name, until time.Time) {
	d.proc.w.revoke(d.proc, replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Until: until})
}

func (d denials) Replace(name session.Name, until time.Time) {
	d.proc.w.revoke(d.proc, replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Before: time.Now(), Until: until})
}

func (d denials) Replaced(name session.Name) bool { return d.proc.list.Replaced(name) }

// revoke adds an entry. When it returns, the end is acknowledged.
func (w *world) revoke(by *process, e replicas.Revocation) {
	if _, err := w.central.Add(e); err != nil {
		w.fail("%v", err)
	}
	_, _ = by.list.Add(e)
	tell := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, proc := range w.processes {
			select {
			case <-proc.ready:
				_, _ = proc.list.Add(e)
			default: // it will read all entries when it starts
			}
		}
	}
	if w.cfg.spread == 0 {
		tell()
		return
	}
	w.running.Go(func() { time.Sleep(w.cfg.spread); tell() })
}

func (w *world) discard(token secret.String) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.useless, token.Reveal())
	w.counts["discarded"]++
}

// note adds a line to the trace. The caller holds mu.
func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%14v ", time.Since(w.start))+fmt.Sprintf(format, args...))
}

// fail records the first violation.
func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violate(format, args...)
}

// violate is like fail, for callers that hold mu.
func (w *world) violate(format string, args ...any) {
	if w.violation == "" {
		w.violation = fmt.Sprintf(format, args...)
		w.note("^ here: %s", w.violation)
	}
}

// trouble notes that something does not work from now on for d. The caller holds mu.
func (w *world) trouble(d time.Duration) {
	now := time.Now()
	w.troubles = append(w.troubles, window{now, now.Add(d + modelAftermath)})
}

// troubled reports whether something did not work after from, or could still have
// effects then. The caller holds mu.
func (w *world) troubled(from time.Time) bool {
	for _, t := range w.troubles {
		if from.Before(t.to) {
			return true
		}
	}
	return false
}

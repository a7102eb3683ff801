package chaos

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/redislocal"
)

const (
	replicas = 3
	// accessTTL is the life of access tokens.
	accessTTL = 5 * time.Second
	// maxRequests is how many calls to the provider each replica makes a second: some more
	// than its part of the refreshes, and much less than the attackers' codes.
	maxRequests = 30
	// leaseTime is how long the lease of a killed replica remains in force: the time-out
	// of one refresh plus 2 seconds.
	leaseTime = 17 * time.Second
)

// Options are the options of a run.
type Options struct {
	// Binary is the path of the token handler's binary. Required.
	Binary string
	// Duration is how long faults are injected.
	Duration time.Duration
	// Browsers is the number of users, with one browser each.
	Browsers int
	// Log receives the table, and details after a failure.
	Log io.Writer
}

// world holds the processes, browsers and records of a run.
type world struct {
	options  Options
	dir      string
	begun    time.Time
	pool     *cognitotest.Server
	store    *redislocal.Server
	upstream *upstream
	balancer *balancer
	replicas []*replica
	ledger   *ledger
	browsers []*browser
	script   script
	stalls   stalls
	key      string
	attacks  atomic.Int64 // made-up codes that were answered

	mu        sync.Mutex
	outcomes  map[outcome]int
	latencies []time.Duration
	losses    []loss // browsers that lost something, in order of time
	wrong     []string
}

// loss is a browser that lost something, with its latest requests.
type loss struct {
	user    string
	at      time.Time
	outcome outcome
	story   string
}

// newWorld starts all processes, which end with the test. [world.live] runs the browsers.
func newWorld(tb testing.TB, options Options) (*world, error) {
	tb.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	w := &world{
		options: options, dir: tb.TempDir(), begun: time.Now(), ledger: newLedger(),
		outcomes: make(map[outcome]int), key: base64.StdEncoding.EncodeToString(key),
	}
	w.script.world = w
	users := make([]cognitotest.User, options.Browsers)
	for i := range users {
		users[i] = cognitotest.User{Username: "user" + strconv.Itoa(i+1), Email: "user" + strconv.Itoa(i+1) + "@example.com"}
	}
	w.pool = cognitotest.New(tb, cognitotest.Options{
		Users: users, AccessTTL: accessTTL, Rotation: true, RevokeFamilyOnReuse: true,
	})
	tb.Cleanup(w.close)
	var err error
	if w.store, err = redislocal.Start(tb.Context(), redislocal.Options{}); err != nil {
		return nil, err
	}
	if w.upstream, err = newUpstream(w.pool); err != nil {
		return nil, err
	}
	for i := range replicas {
		w.replicas = append(w.replicas, &replica{name: string(rune('a' + i)), world: w})
	}
	if w.balancer, err = newBalancer(w.replicas); err != nil {
		return nil, err
	}
	w.pool.AllowCallback(w.balancer.URL + "/auth/callback")
	for _, r := range w.replicas {
		if err := r.start(tb.Context()); err != nil {
			return nil, err
		}
	}
	for _, u := range users {
		b := newBrowser(tb, w, u.Username)
		if err := b.login(); err != nil {
			return nil, err
		}
		w.browsers = append(w.browsers, b)
	}
	return w, nil
}

// config returns the configuration file of one process.
func (w *world) config(l *life) devstack.Config {
	c := devstack.Config{}
	c.Set("public_url", w.balancer.URL)
	c.Set("listen", l.public)
	c.Set("admin.listen", l.admin)
	c.Set("provider.kind", "cognito")
	c.Set("provider.issuer", w.pool.Issuer())
	c.Set("provider.client_id", w.pool.ClientID())
	c.Set("provider.client_secret", w.pool.Secret())
	c.Set("provider.endpoints.token", l.front.URL)
	c.Set("shutdown.delay", "0s") // the harder case: the balancer is not warned
	c.Set("provider.max_requests_per_second", maxRequests)
	c.Set("trusted_proxies", []string{"127.0.0.1", "::1"}) // the balancer
	c.Set("session.keys", w.key)
	c.Set("session.store", w.store.URL())
	c.Set("api.routes", []devstack.Config{{"path": "/api/", "upstream": w.upstream.URL}})
	return c
}

// close ends every process and listener. A store that hangs is woken first.
func (w *world) close() {
	for _, r := range w.replicas {
		for _, l := range r.lives {
			l.end()
		}
	}
	if w.balancer != nil {
		w.balancer.close()
	}
	if w.upstream != nil {
		w.upstream.close()
	}
	if w.store != nil {
		w.store.Close()
	}
}

// live runs browsers and faults for the run's duration, and then the browsers alone
// until each of them is served.
func (w *world) live(ctx context.Context) {
	w.begun = time.Now()
	ctx, cancel := context.WithTimeout(ctx, w.options.Duration)
	defer cancel()
	var users, faults, watch sync.WaitGroup
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer watch.Wait()
	defer stop()
	watch.Go(func() { w.stalls.watch(watching) })
	for _, b := range w.browsers {
		users.Go(func() { b.live(ctx) })
	}
	w.attack(ctx, &users)
	w.script.play(ctx, &faults)
	faults.Wait()
	users.Wait()
	last := context.WithoutCancel(ctx)
	for _, b := range w.browsers {
		users.Go(func() {
			if !b.wellAtLast(last) {
				w.fault("%s is not served at the end", b.user)
			}
		})
	}
	users.Wait()
}

// since returns the time since the beginning of the run, for example "12.345s".
func (w *world) since(at time.Time) string {
	return fmt.Sprintf("%.3fs", at.Sub(w.begun).Seconds())
}

func (w *world) count(o outcome, took time.Duration, answered bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes[o]++
	if answered {
		w.latencies = append(w.latencies, took)
	}
}

// fault records something that must not happen.
func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

func (w *world) loss(b loss) {
	w.mu.Lock()
	defer w.mu.Unlock()
	same := func(known loss) bool { return known.user == b.user && known.outcome == b.outcome }
	if !slices.ContainsFunc(w.losses, same) {
		w.losses = append(w.losses, b)
	}
}

// races returns the processes whose race detector reported a race.
func (w *world) races() (found []string) {
	for _, r := range w.replicas {
		for _, l := range r.lives {
			if output := l.child.Output(); containsRace(output) {
				found = append(found, l.name)
				_, _ = io.WriteString(w.options.Log, output)
			}
		}
	}
	return found
}

// Binary returns the path in the variable TOKENHANDLER_BINARY, or an error.
func Binary() (string, error) {
	path := os.Getenv("TOKENHANDLER_BINARY")
	if path == "" {
		return "", fmt.Errorf("finding the token handler: TOKENHANDLER_BINARY is not set (run `make chaos`)")
	}
	return path, nil
}

// resumeTries is how often the start of the store is tried: for a moment, a client's
// end of some connection may occupy its port.
const resumeTries = 5

// resume starts the stopped store.
func (w *world) resume(ctx context.Context) (err error) {
	for range resumeTries {
		bounded, cancel := context.WithTimeout(ctx, wellTime)
		err = w.store.Resume(bounded)
		cancel()
		if err == nil {
			return nil
		}
		w.store.Stop()
		pause(ctx, storeTimeout)
	}
	return fmt.Errorf("starting the store again: %w", err)
}

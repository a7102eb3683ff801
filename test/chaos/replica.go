package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"cognito-token-handler/test/devstack/process"
)

const (
	// startTime is how long a replica may take until it is ready, on a machine that
	// is busy with everything else of the run.
	startTime = 20 * time.Second
	// startTries is how often a start is tried: another process may take the free port.
	startTries = 3
	// stopTime is how long a replica may take to stop: as long as Kubernetes waits by
	// default (terminationGracePeriodSeconds).
	stopTime = 30 * time.Second
	// askTime bounds one request to the admin listener.
	askTime = 2 * time.Second
)

// replica is one of the replicas. Its processes follow each other, each on another
// port.
type replica struct {
	name  string
	world *world

	mu    sync.Mutex
	life  *life
	lives []*life
}

// life is one process of a replica.
type life struct {
	name          string // e.g. "b3": the third life of replica b
	public, admin string
	front         *front
	child         *process.Process
	killed        atomic.Bool
	stopped       atomic.Int64 // when it was asked to end, in Unix milliseconds
	client        *http.Client
}

// current returns the newest process, which may have ended.
func (r *replica) current() *life {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.life
}

// start starts a process and returns when it is ready.
func (r *replica) start(ctx context.Context) error {
	var err error
	for range startTries {
		var l *life
		if l, err = r.tryStart(ctx); err == nil {
			r.mu.Lock()
			r.life = l
			r.lives = append(r.lives, l)
			r.mu.Unlock()
			return nil
		}
	}
	return err
}

func (r *replica) tryStart(ctx context.Context) (*life, error) {
	l := &life{name: r.name + strconv.Itoa(len(r.lives)+1), client: &http.Client{Timeout: askTime}}
	for _, address := range []*string{&l.public, &l.admin} {
		port, err := process.FreePort()
		if err != nil {
			return nil, err
		}
		*address = "127.0.0.1:" + strconv.Itoa(port)
	}
	var err error
	if l.front, err = newFront(l.name, r.world.pool, r.world.ledger); err != nil {
		return nil, err
	}
	file := filepath.Join(r.world.dir, l.name+".yaml")
	content, err := yaml.Marshal(r.world.config(l))
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err == nil {
		l.child, err = process.Start(process.Spec{
			Name: "replica " + l.name, Path: r.world.options.Binary, Args: []string{"--config", file}, Env: process.Environment(),
		})
	}
	if err != nil {
		l.front.close()
		return nil, fmt.Errorf("starting replica %s: %w", l.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := l.child.AwaitOK(ctx, "http://"+l.admin+"/readyz"); err != nil {
		l.end()
		return nil, err
	}
	return l, nil
}

// noticeTime is how long the load balancer takes to notice that a replica is no longer
// ready.
const noticeTime = 200 * time.Millisecond

// leaving reports whether the load balancer has stopped sending requests there.
func (l *life) leaving() bool {
	since := l.stopped.Load()
	return since != 0 && time.Since(time.UnixMilli(since)) > noticeTime
}

// stop asks the process to end and waits for it.
func (l *life) stop() error {
	l.stopped.Store(time.Now().UnixMilli())
	l.child.Signal(syscall.SIGTERM)
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-l.child.Done():
	case <-timer.C:
		return fmt.Errorf("replica %s did not stop in %s", l.name, stopTime)
	}
	if !strings.Contains(l.child.Output(), `"msg":"stopped"`) {
		return fmt.Errorf("stopping in order: %w", l.child.Err())
	}
	return nil
}

// kill kills the process and returns the users whose refreshes were in progress.
func (l *life) kill() (users []string) {
	users = l.front.users()
	l.killed.Store(true)
	l.child.Signal(syscall.SIGKILL)
	<-l.child.Done()
	l.front.die()
	return users
}

// end releases what the process held.
func (l *life) end() {
	if l.child != nil {
		l.child.Stop(time.Second)
	}
	l.front.close()
	l.client.CloseIdleConnections()
}

// ask returns a page of the admin listener.
func (l *life) ask(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.admin+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := l.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	return io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
}

// storeOK reports whether the process reaches the store and has read all of it.
func (l *life) storeOK(ctx context.Context) bool {
	body, err := l.ask(ctx, "/readyz")
	if err != nil {
		return false
	}
	var ready struct{ Checks map[string]string }
	return json.Unmarshal(body, &ready) == nil && ready.Checks["store"] == "ok"
}

// counters are the metrics of a process that a kill depends on.
type counters struct {
	rotated float64 // refreshes that were answered with a new token
	failed  float64 // results that the store did not take at once
}

func (l *life) counters(ctx context.Context) (counters, error) {
	body, err := l.ask(ctx, "/metrics")
	if err != nil {
		return counters{}, err
	}
	var c counters
	known := false
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch {
		case name == `tokenhandler_refreshes_total{outcome="rotated"`:
			c.rotated = number
		case strings.HasPrefix(name, `tokenhandler_store_operations_total{operation="publish"`) && !strings.HasSuffix(name, `outcome="ok"`):
			c.failed += number
		case strings.HasPrefix(name, "tokenhandler_store_operations_total{"):
			known = true
		}
	}
	if !known {
		return counters{}, errors.New("the replica has no metrics of the store")
	}
	return c, nil
}

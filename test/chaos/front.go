package chaos

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/devstack/process"
)

const (
	// leastLatency and mostLatency bound the latency that is added to a token call.
	leastLatency = 20 * time.Millisecond
	mostLatency  = 60 * time.Millisecond
	// maxForm bounds what is read of a token call.
	maxForm = 64 << 10
)

// front stands before the provider's token endpoint for one process of a replica. It
// adds latency, records calls in the ledger, and can hold calls before the provider
// processes them.
type front struct {
	URL string

	replica string
	pool    http.RoundTripper
	ledger  *ledger
	server  *http.Server
	work    sync.WaitGroup

	mu       sync.Mutex
	closed   chan struct{}  // closed by open; nil while calls are not held
	dead     bool           // the replica was killed
	held     map[int]string // number of a held call → user
	number   int
	working  int // refresh calls that are processed and not yet answered
	answered int // refresh calls answered with tokens
}

func newFront(replica string, pool *cognitotest.Server, book *ledger) (*front, error) {
	listener, err := process.Listen(0)
	if err != nil {
		return nil, err
	}
	f := &front{
		URL: "http://" + listener.Addr().String() + "/oauth2/token", replica: replica,
		pool: pool.Transport(), ledger: book, held: make(map[int]string),
	}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
	f.work.Go(func() { _ = f.server.Serve(listener) })
	return f, nil
}

func (f *front) close() {
	_ = f.server.Close()
	f.work.Wait()
}

// ServeHTTP implements [http.Handler]. It reads the body first, because net/http
// notices only then that a client is gone.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	form, _ := url.ParseQuery(string(body)) // the provider refuses a malformed form
	refreshToken := form.Get("refresh_token")
	if refreshToken != "" {
		if !f.enter(r.Context(), refreshToken) {
			f.ledger.drop()
			panic(http.ErrAbortHandler)
		}
		defer f.leave()
	}
	latency := between(leastLatency, mostLatency)
	if !pause(r.Context(), latency/2) {
		f.ledger.drop()
		panic(http.ErrAbortHandler) // nobody would get the new token
	}
	answer := f.ask(r, body)
	switch {
	case refreshToken != "":
		f.took(answer.StatusCode)
		f.ledger.refresh(f.replica, refreshToken, arrived, answer.StatusCode, answer.body)
	case answer.StatusCode == http.StatusOK:
		f.ledger.login(answer.body)
	}
	_ = pause(r.Context(), latency/2)
	maps.Copy(w.Header(), answer.Header)
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(answer.body)
}

type answer struct {
	*http.Response

	body []byte
}

// ask sends the call to the provider.
func (f *front) ask(r *http.Request, body []byte) answer {
	out := r.Clone(r.Context())
	out.Body, out.URL.Scheme, out.URL.Host = io.NopCloser(bytes.NewReader(body)), "http", r.Host
	got, err := f.pool.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = got.Body.Close() }()
	content, err := io.ReadAll(got.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return answer{got, content}
}

// enter waits while calls are held. It returns false if the call must not be processed
// because its client is gone.
func (f *front) enter(ctx context.Context, refreshToken string) bool {
	user := f.ledger.owner(refreshToken)
	f.mu.Lock()
	f.number++
	number := f.number
	for f.closed != nil && !f.dead && ctx.Err() == nil {
		gate := f.closed
		f.held[number] = user
		f.mu.Unlock()
		select {
		case <-gate:
		case <-ctx.Done():
		}
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	delete(f.held, number)
	if f.dead || ctx.Err() != nil {
		return false
	}
	f.working++
	return true
}

func (f *front) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.working--
}

func (f *front) took(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if status == http.StatusOK {
		f.answered++
	}
}

// hold holds refresh calls from now on.
func (f *front) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed == nil {
		f.closed = make(chan struct{})
	}
}

// open lets the held calls and all later ones pass.
func (f *front) open() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed != nil {
		close(f.closed)
		f.closed = nil
	}
}

// state returns how many refresh calls are held, are being processed, and were
// answered with tokens.
func (f *front) state() (held, working, answered int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held), f.working, f.answered
}

// users returns the users whose calls are held.
func (f *front) users() (users []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, user := range f.held {
		users = append(users, user)
	}
	return users
}

// die drops the held calls of a replica that was killed, and every later one.
func (f *front) die() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	if f.closed != nil {
		close(f.closed)
		f.closed = nil
	}
}

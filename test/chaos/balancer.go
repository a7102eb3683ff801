package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
)

const (
	// requestHeader carries an id of each request, by which the balancer reports what
	// happened to it.
	requestHeader = "X-Chaos-Request"
	// maxAnswer bounds what the balancer reads of an answer.
	maxAnswer = 1 << 20
)

// The faults that the harness itself injected into a request.
const (
	fateKilled = "killed" // its replica was killed while it served the request
	fateCut    = "cut"    // the browser's connection was cut
)

var (
	errCut    = errors.New("the connection was cut")
	errKilled = errors.New("the replica was killed")
	errNobody = errors.New("every replica refused the connection")
)

// balancer is a load balancer. It distributes requests round robin over the replicas
// that are ready, opens a connection for each request, and tries another replica only
// if the connection was refused, so that nothing was sent.
type balancer struct {
	URL string

	replicas  []*replica
	turn      atomic.Uint64
	transport *http.Transport
	server    *http.Server
	work      sync.WaitGroup
	refused   atomic.Int64
	lose      atomic.Int64 // how many of the next answers that set the session are to be lost

	mu      sync.Mutex
	pending map[*pendingRequest]bool
	way     map[string][]string // request id → replicas that it was sent to
	fates   map[string]string   // request id → fault that was injected
}

type pendingRequest struct {
	id     string
	cancel context.CancelCauseFunc
}

func newBalancer(replicas []*replica) (*balancer, error) {
	listener, err := process.Listen(0)
	if err != nil {
		return nil, err
	}
	port, err := process.Port(listener)
	if err != nil {
		return nil, err
	}
	b := &balancer{
		URL: "http://localhost:" + strconv.Itoa(port), replicas: replicas,
		transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext},
		pending:   make(map[*pendingRequest]bool), way: make(map[string][]string), fates: make(map[string]string),
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "replica"})
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: b, ModifyResponse: b.loseAnswer, ErrorHandler: b.fail,
	}
	b.server = &http.Server{Handler: b.track(proxy), ReadHeaderTimeout: time.Minute}
	b.work.Go(func() { _ = b.server.Serve(listener) })
	return b, nil
}

func (b *balancer) close() {
	_ = b.server.Close()
	b.work.Wait()
	b.transport.CloseIdleConnections()
}

// track registers the requests in progress, so that cut can cancel some of them.
func (b *balancer) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		f := &pendingRequest{id: r.Header.Get(requestHeader), cancel: cancel}
		b.mu.Lock()
		b.pending[f] = true
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			delete(b.pending, f)
			b.mu.Unlock()
			cancel(nil)
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// RoundTrip implements [http.RoundTripper].
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, maxAnswer)); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	id := r.Header.Get(requestHeader)
	for _, life := range b.choose() {
		answer, err := b.send(r, life, body)
		switch {
		case notConnected(err):
			b.refused.Add(1)
			b.note(id, life.name+" refused")
			continue
		case context.Cause(r.Context()) != nil:
			return nil, context.Cause(r.Context())
		case err != nil && life.killed.Load():
			b.seal(id, fateKilled)
			b.note(id, life.name+" was killed")
			return nil, errKilled
		case err != nil:
			b.note(id, life.name+": "+err.Error())
			return nil, err
		}
		b.note(id, life.name)
		return answer, nil
	}
	return nil, errNobody
}

// choose returns the replicas in round-robin order, with those that are not ready at
// the end.
func (b *balancer) choose() []*life {
	first, n := b.turn.Add(1), uint64(len(b.replicas))
	var ready, leaving []*life
	for i := range n {
		if l := b.replicas[(first+i)%n].current(); l.leaving() {
			leaving = append(leaving, l)
		} else {
			ready = append(ready, l)
		}
	}
	return append(ready, leaving...)
}

// notConnected reports whether no connection was established, so that nothing was
// sent: it was refused, or was reset before it was accepted.
func notConnected(err error) bool {
	broken, ok := errors.AsType[*net.OpError](err)
	return ok && broken.Op == "dial" && (errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET))
}

// send makes one attempt. It reads the whole answer, because an answer that breaks off
// is a failed attempt.
func (b *balancer) send(r *http.Request, life *life, body []byte) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Host = life.public
	out.Body = http.NoBody
	if len(body) > 0 {
		out.Body = io.NopCloser(bytes.NewReader(body))
	}
	answer, err := b.transport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(content))
	return answer, nil
}

// loseAnswer reports whether this answer, which renews the session, is to be lost.
func (b *balancer) loseAnswer(answer *http.Response) error {
	id := answer.Request.Header.Get(requestHeader)
	for _, line := range answer.Header.Values("Set-Cookie") {
		if strings.HasPrefix(line, testkit.Cookies(b.URL).Session+"=") && id != "" && b.lose.Add(-1) >= 0 {
			b.seal(id, fateCut)
			b.note(id, "answer lost")
			return errCut
		}
	}
	return nil
}

// fail breaks the browser's connection where a fault broke the one to the replica, and
// otherwise answers 502 as a load balancer does.
func (b *balancer) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errCut) || errors.Is(err, errKilled) || errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler)
	}
	b.note(r.Header.Get(requestHeader), "502: "+err.Error())
	w.WriteHeader(http.StatusBadGateway)
}

// cut breaks the connections of up to n requests in progress and returns their number.
func (b *balancer) cut(n int) (done int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for f := range b.pending {
		if done == n {
			break
		}
		if f.id != "" {
			b.fates[f.id] = fateCut
			b.way[f.id] = append(b.way[f.id], "cut")
			f.cancel(errCut)
			done++
		}
	}
	return done
}

func (b *balancer) seal(id, fate string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fates[id] = fate
}

func (b *balancer) note(id, what string) {
	if id == "" {
		return // a login, or an attacker's request
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.way[id] = append(b.way[id], what)
}

// fate returns the fault that was injected into a request and the replicas that it was
// sent to, and forgets them.
func (b *balancer) fate(id string) (fate, way string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fate, way = b.fates[id], strings.Join(b.way[id], ", ")
	delete(b.fates, id)
	delete(b.way, id)
	return fate, way
}

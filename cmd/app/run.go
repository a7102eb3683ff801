package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/web"
)

// Addresses are the addresses of a running service's listeners, as host:port.
type Addresses struct{ Public, Admin string }

// ErrTerminated is the cause of a context that ends because the service is replaced or
// stopped by its environment (SIGTERM): load balancers need a moment to notice.
var ErrTerminated = errors.New("the service was told to terminate")

// Run listens and serves until ctx ends. From then on /readyz answers 503. If the cause
// of the end is [ErrTerminated], Run goes on to serve for shutdown.delay. Then it waits
// for the requests and refreshes in progress, for at most 27 seconds in all, and returns
// nil. When both listeners are open, Run calls started with their addresses, unless it is
// nil. The public one serves its first request when the provider and the store have been
// asked, see [App.awaitFirstTries].
func (a *App) Run(ctx context.Context, started func(Addresses)) error {
	public, err := a.listenPublic(ctx)
	if err != nil {
		return err
	}
	admin, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Admin.Listen)
	if err != nil {
		_ = public.Close()
		return fmt.Errorf("admin.listen: %w", err)
	}
	a.log.InfoContext(ctx, "listening", "public", public.Addr().String(), "admin", admin.Addr().String(), "public_url", a.cfg.PublicURL.String())
	if started != nil {
		started(Addresses{Public: public.Addr().String(), Admin: admin.Addr().String()})
	}
	a.trail.Note(ctx, audit.Event{Name: audit.ConfigLoaded, Target: a.cfg.PublicURL.String()})
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { a.provider.Run(background) })
	helpers.Go(func() { a.reloadFiles(background) })
	if a.credentials != nil {
		helpers.Go(func() { a.credentials.run(background, a.reloadEvery) })
	}
	helpers.Go(func() { a.denied.run(background) })
	helpers.Go(func() { a.sessions.Run(background) })
	err = a.serve(ctx, public, admin)
	stop()
	helpers.Wait()
	return err
}

// serve runs both servers until ctx ends or one of them fails, then shuts down:
//
//  1. /readyz turns to 503. After [ErrTerminated], requests are served as before for
//     shutdown.delay, until the load balancers have noticed.
//  2. The public listener accepts no more. Requests in progress may finish; those that take too long are cut off.
//     WebSockets and event streams are closed at once.
//  3. Refreshes, which outlive the requests that began them, may finish, too.
//  4. Their results, and revocations, are written to the store, if the other
//     replicas do not have them yet.
//  5. The spans of all this are exported.
//  6. The admin listener goes last, so that an operator can watch it.
func (a *App) serve(ctx context.Context, public, admin net.Listener) error {
	side := publicSide{
		server: web.NewServer(a.public, a.log), listener: public,
		unused: &unusedConns{}, done: make(chan struct{}),
	}
	side.server.ConnState = side.unused.watch
	side.server.Protocols = protocols(a.cfg.H2C)
	adminServer := web.NewServer(a.admin, a.log)
	failed := make(chan error, 2)
	go func() {
		defer close(side.done)
		a.awaitFirstTries(ctx)
		failed <- side.server.Serve(public)
	}()
	go func() { failed <- adminServer.Serve(admin) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	a.stopping.Store(true)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.shutdown.total)
	defer cancel()
	requests, cancelRequests := context.WithTimeout(end, a.shutdown.drain)
	defer cancelRequests()
	if delay := a.cfg.Shutdown.Delay; delay > 0 && errors.Is(context.Cause(ctx), ErrTerminated) {
		a.log.InfoContext(ctx, "shutting down: not ready from now on, but new requests are still served", "for", delay.String())
		a.pause(requests, delay)
	}
	a.log.InfoContext(ctx, "shutting down: no new requests, waiting for those under way")
	a.sessions.Drain()
	a.drain(requests, side)
	a.waitForRefreshes(end)
	if err := a.sessions.HandOver(end); err != nil {
		a.log.WarnContext(end, "sessions may be lost: the store is out", "error", err.Error())
	}
	if err := a.denied.handOver(end); err != nil {
		a.log.WarnContext(end, "revocations are lost: the store is out", "error", err.Error())
	}
	a.denied.leave(end)
	a.flushSpans(end)
	a.closeTrail(end)
	_ = adminServer.Close()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	a.log.InfoContext(end, "stopped")
	return nil
}

// firstTriesTime is how long the first requests wait, at most, for a provider or a store
// that does not answer.
const firstTriesTime = 3 * time.Second

// awaitFirstTries waits until the provider and the store have been reached, or a first
// try has failed. A proxy that does not ask /readyz, as nginx does not, sends requests as
// soon as the listener is open: they wait in its queue instead of failing because the
// provider's endpoints are not known yet.
func (a *App) awaitFirstTries(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.firstTries)
	defer cancel()
	tries := []<-chan struct{}{a.provider.Tried()}
	if a.denied.shared != nil {
		tries = append(tries, a.denied.shared.Tried())
	}
	for _, tried := range tries {
		select {
		case <-tried:
		case <-ctx.Done():
		}
	}
}

// protocols returns the protocols of the public listener. Without TLS it speaks HTTP/2
// only with clients that begin with it (prior knowledge, RFC 9113 §3.3): a request that
// upgrades from HTTP/1.1 would not pass the checks of the proxy.
func protocols(h2c bool) *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(h2c)
	return &p
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (a *App) waitForRefreshes(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		a.sessions.Close()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		a.log.WarnContext(ctx, "refreshes were cut off", "after", a.shutdown.total.String())
	}
}

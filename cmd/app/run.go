package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"cognito-token-handler/tokenhandler/web"
)

// Addresses are where a running service listens.
type Addresses struct{ Public, Admin string }

// Run listens and serves until ctx ends, then lets the requests and refreshes
// under way finish, for at most 28 seconds in all, and returns nil. From then on
// /readyz says that no requests are wanted. started, if not nil, is told the
// addresses once both listeners accept.
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
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	helpers.Go(func() { a.provider.Run(background) })
	helpers.Go(func() { a.reloadKeys(background) })
	helpers.Go(func() { a.denied.run(background) })
	helpers.Go(func() { a.sessions.Run(background) })
	err = a.serve(ctx, public, admin)
	stop()
	helpers.Wait()
	return err
}

// serve runs both servers until ctx ends or one of them fails, then shuts down:
//
//  1. /readyz turns to 503, and the public listener accepts no more.
//  2. Requests under way may end; those that do not in time are cut off.
//     WebSockets are told to go at once.
//  3. So may refreshes, which outlive the requests that began them.
//  4. The admin listener goes last, so that an operator can watch it.
func (a *App) serve(ctx context.Context, public, admin net.Listener) error {
	publicServer, adminServer := web.NewServer(a.public, a.log), web.NewServer(a.admin, a.log)
	failed := make(chan error, 2)
	go func() { failed <- publicServer.Serve(public) }()
	go func() { failed <- adminServer.Serve(admin) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		a.log.InfoContext(ctx, "shutting down: no new requests, waiting for those under way")
	}
	a.stopping.Store(true)
	a.sessions.Drain()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.shutdown.total)
	defer cancel()
	a.drain(end, publicServer)
	a.waitForRefreshes(end)
	_ = adminServer.Close()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	a.log.InfoContext(end, "stopped")
	return nil
}

func (a *App) drain(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(ctx, a.shutdown.drain)
	defer cancel()
	var sockets sync.WaitGroup // net/http does not know of them
	sockets.Go(func() { a.api.Drain(ctx) })
	defer sockets.Wait()
	if err := server.Shutdown(ctx); err != nil {
		a.log.WarnContext(ctx, "requests were cut off", "after", a.shutdown.drain.String())
		_ = server.Close()
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

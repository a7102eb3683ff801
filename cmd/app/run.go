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
// under way finish, for at most 25 and 15 seconds, and returns nil. started, if not nil, is told
// the addresses once both listeners accept.
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
	err = a.serve(ctx, public, admin)
	a.sessions.Close()
	stop()
	helpers.Wait()
	return err
}

// serve runs both servers. The admin listener stays until the public one has
// drained, so that an operator can watch it.
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
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if slow := publicServer.Shutdown(drain); slow != nil {
		a.log.WarnContext(ctx, "requests were cut off", "after", drainTimeout.String())
		_ = publicServer.Close()
	}
	_ = adminServer.Shutdown(drain)
	_ = adminServer.Close()
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	a.log.InfoContext(ctx, "stopped")
	return nil
}

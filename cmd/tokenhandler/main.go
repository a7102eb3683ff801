package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"cognito-token-handler/cmd/app"
)

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first := <-signals
		// A second signal ends the process at once, because the operator does not want to
		// wait for the shutdown: without a handler, Go's default action applies.
		signal.Stop(signals)
		if first == syscall.SIGTERM {
			cancel(app.ErrTerminated)
		}
		cancel(nil) // at the keyboard, nobody waits for load balancers
	}()
	// From the beginning, because SIGHUP would end the process before the service runs.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Environ(), hangups, os.Stdout, os.Stderr)
	cancel(nil)
	os.Exit(code)
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"cognito-token-handler/test/devstack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	run, args := devstack.Run, os.Args[1:]
	if len(args) > 0 && args[0] == "servers" {
		run, args = devstack.RunServers, args[1:]
	}
	if err := run(ctx, args, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

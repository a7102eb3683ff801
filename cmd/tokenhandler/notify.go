package main

import (
	"context"
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"

	"cognito-token-handler/cmd/app"
)

// notifyStarted tells systemd that the service accepts connections, so that
// `systemctl start` returns then, and units that depend on the service start. Without
// systemd, or with a unit of another type than "notify", it does nothing. A provider that
// cannot be reached does not hold up the start: /readyz tells that.
func notifyStarted(ctx context.Context, log *slog.Logger, at app.Addresses) {
	notify(ctx, log, daemon.SdNotifyReady+"\nSTATUS=listening on "+at.Public+", administration on "+at.Admin)
}

// notifyStopping tells systemd that the service shuts down, once ctx ends. The result
// takes that back.
func notifyStopping(ctx context.Context, log *slog.Logger) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		notify(context.WithoutCancel(ctx), log, daemon.SdNotifyStopping+"\nSTATUS=waiting for the requests under way")
	})
}

// notify sends a state to the socket that NOTIFY_SOCKET names (sd_notify(3)).
func notify(ctx context.Context, log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.WarnContext(ctx, "systemd was not notified", "error", err.Error())
	}
}

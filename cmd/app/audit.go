package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/web"
)

// newTrail opens the audit trail.
func (a *App) newTrail() error {
	cfg := a.cfg.Audit
	var output io.Writer
	switch cfg.Output {
	case config.AuditStderr:
		output = &a.records
	case config.AuditFile:
		file, err := audit.OpenFile(cfg.File)
		if err != nil {
			return fmt.Errorf("audit.file: %w", err)
		}
		output = file
	}
	replica, _ := os.Hostname() // "" if the system does not say
	a.trail = audit.New(audit.Config{
		Output: output, OCSF: cfg.Format == "ocsf", Refuse: cfg.OnFailure == "refuse", Replica: replica,
		Now: a.now, Log: a.log, Metrics: audit.NewMetrics(a.registry),
	})
	return nil
}

// refreshRefused records that the provider has refused to refresh a session.
func (a *App) refreshRefused(ctx context.Context, s *session.Session, ended bool) {
	cause := "kept"
	if ended {
		cause = "ended"
	}
	a.trail.Note(ctx, audit.Event{
		Name: audit.RefreshRefused, Failed: true, Cause: cause, Subject: s.Subject, Session: s.LogName(), Caller: web.CallerIn(ctx),
	})
}

// closeTrail writes what is queued, within flushTimeout.
func (a *App) closeTrail(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, a.shutdown.flush)
	defer cancel()
	a.trail.Close(ctx)
}

// AuditTo sets where the audit trail goes with audit.output: stderr. What is recorded
// before is lost.
func (a *App) AuditTo(w io.Writer) { a.records.w.Store(&w) }

// lateWriter writes to what is set later, and nothing before.
type lateWriter struct{ w atomic.Pointer[io.Writer] }

// Write implements [io.Writer].
func (l *lateWriter) Write(record []byte) (int, error) {
	if w := l.w.Load(); w != nil {
		return (*w).Write(record)
	}
	return len(record), nil
}

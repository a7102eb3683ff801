package refresh

import (
	"log/slog"
	"sync"

	"cognito-token-handler/tokenhandler/session"
)

// generation is one generation of a session in memory.
type generation struct {
	*session.Session

	// epoch is that of the store which has this generation; 0 for none. It is guarded
	// by memory.mu.
	epoch uint64

	logging sync.Once
}

// notWritten logs, once, that this generation does not fit into cookies. The browser
// keeps its older cookie then, and the session goes on from memory and from the shared
// store: without a store, for as long as this process lives if the provider rotates.
func (g *generation) notWritten(log *slog.Logger, err error) {
	g.logging.Do(func() { log.Error("session not written", "error", err.Error(), "session", g.ID) })
}

package refresh

import (
	"log/slog"
	"sync"

	"cognito-token-handler/tokenhandler/session"
)

// generation is one generation of a session in memory, with its cookies.
type generation struct {
	*session.Session

	// epoch is that of the store which has this generation; 0 for none. It is guarded
	// by memory.mu.
	epoch uint64

	sealing sync.Once
	cookies []string
}

// seal returns the cookie values, or nil if they do not fit into cookies: then the
// browser keeps its older cookie, and the session goes on from memory for as long as
// this process lives. All responses share the values; a failure is logged once. No
// lock of the process is held meanwhile.
func (g *generation) seal(store *session.Store, log *slog.Logger) []string {
	g.sealing.Do(func() {
		var err error
		if g.cookies, _, err = store.Seal(g.Session); err != nil {
			g.cookies = nil
			log.Error("session not written", "error", err.Error(), "session", g.ID)
		}
	})
	return g.cookies
}

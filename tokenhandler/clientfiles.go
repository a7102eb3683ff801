package tokenhandler

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/client"
	"cognito-token-handler/tokenhandler/web"
)

// clientFile serves a file of the browser client, which is a part of the binary. It is the
// same for everybody, so no origin is checked, any page may import it, and caches may keep
// it. Its address stays the same in the next version, so that they must ask whether it has
// changed.
func clientFile(content []byte, mediaType string) http.Handler {
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", mediaType)
		h.Set("Cache-Control", "public, max-age=300, must-revalidate")
		h.Set("ETag", tag)
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}

// clientRoutes registers the files of the browser client.
func (h *Handler) clientRoutes() {
	files := map[string]http.Handler{
		"/client.js":   clientFile(client.Core, "text/javascript; charset=utf-8"),
		"/client.d.ts": clientFile(client.Types, "application/typescript; charset=utf-8"),
	}
	for path, file := range files {
		h.handle(path, web.OwnHeaders(h.cfg.Site.CORS(h.cfg.Site.Methods(file, http.MethodGet, http.MethodHead))))
	}
}

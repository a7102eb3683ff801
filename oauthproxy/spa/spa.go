// Package spa serves the built single-page app: its files, and index.html for
// every other path, so that a deep link survives a reload.
//
// It stands against script that the app did not ship (a strict
// Content-Security-Policy), content that is taken for something else, framing,
// and files outside its folder. It knows nothing of sessions and APIs.
package spa

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"

	"cognito-token-handler/tokenhandler/web"
)

// Config is what a [Handler] needs.
type Config struct {
	// Dir is the folder of the built app; it must hold index.html. Required.
	Dir string
	// ContentSecurityPolicy replaces [DefaultPolicy].
	ContentSecurityPolicy string
	// StorageOrigin may be connected to and shown as images; empty for none.
	StorageOrigin string
	// Site writes the errors. Required.
	Site *web.Site
}

// Handler serves the app.
type Handler struct {
	files  fs.FS
	policy string
	site   *web.Site
}

const index = "index.html"

// New opens the folder. The error says what is missing in it.
func New(cfg Config) (*Handler, error) {
	// A root does not follow a link out of the folder.
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening spa.dir: %w", err)
	}
	h := &Handler{files: root.FS(), policy: cfg.ContentSecurityPolicy, site: cfg.Site}
	if h.policy == "" {
		h.policy = DefaultPolicy(cfg.StorageOrigin)
	}
	if info, err := fs.Stat(h.files, index); err != nil || info.IsDir() {
		return nil, fmt.Errorf("opening spa.dir: it has no %s; is the app built?", index)
	}
	return h, nil
}

// DefaultPolicy lets the app load and call what is its own, and the bucket at
// storageOrigin (CSP Level 3; ASVS V3.4.3).
func DefaultPolicy(storageOrigin string) string {
	storage := ""
	if storageOrigin != "" {
		storage = " " + storageOrigin
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'" +
		"; img-src 'self' data: blob:" + storage + "; media-src 'self' blob:" + storage + "; connect-src 'self'" + storage +
		"; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.site.Methods(h.site.Handle(h.serve), http.MethodGet, http.MethodHead).ServeHTTP(w, r)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	file, info, err := h.open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	content, ok := file.(io.ReadSeeker)
	if !ok {
		return web.NewProblem(web.CodeInternal, "an internal error occurred", errors.New("a file that cannot seek"))
	}
	header := w.Header()
	header.Set("Content-Security-Policy", h.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	if isHashed(info.Name()) {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache") // kept, but asked for each time
	}
	http.ServeContent(w, r, info.Name(), info.ModTime(), content)
	return nil
}

// open returns the file called name, or index.html if there is none and name
// does not look like a file: a missing script must be a 404, not a page.
func (h *Handler) open(name string) (fs.File, fs.FileInfo, error) {
	file, info, err := h.regular(name)
	if err == nil {
		return file, info, nil
	}
	if path.Ext(name) != "" {
		return nil, nil, web.NewProblem(web.CodeNotFound, "there is no such file", err)
	}
	file, info, err = h.regular(index)
	if err != nil {
		return nil, nil, web.NewProblem(web.CodeNotFound, "the app is gone", err)
	}
	return file, info, nil
}

var errNoFile = errors.New("not a regular file")

func (h *Handler) regular(name string) (fs.File, fs.FileInfo, error) {
	if !fs.ValidPath(name) || hidden(name) {
		return nil, nil, errNoFile
	}
	file, err := h.files.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("opening file: %w", err)
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, nil, errNoFile
	}
	return file, info, nil
}

// hidden: dot files (.git, .env) are not part of an app; .well-known is.
func hidden(name string) bool {
	for segment := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(segment, ".") && segment != ".well-known" {
			return true
		}
	}
	return false
}

// hashed matches the names that bundlers give: the content's hash is in them.
var hashed = regexp.MustCompile(`[-.][A-Za-z0-9_-]{8,}\.(js|css|woff2?|png|jpe?g|svg|webp|avif|gif|ico|wasm|map)$`)

func isHashed(name string) bool {
	return hashed.MatchString(name) && strings.ContainsAny(name, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
}

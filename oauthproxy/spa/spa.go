package spa

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

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
	// LogoutOrigin returns the origin of the provider's logout page, or "" while
	// it is not known; nil for none. It is asked for every answer.
	LogoutOrigin func() string
	// Site writes the errors. Required.
	Site *web.Site
}

// Handler serves the app.
type Handler struct {
	files  fs.FS
	policy func() string
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
	h := &Handler{files: root.FS(), policy: policy(cfg), site: cfg.Site}
	file, _, err := h.regular(index)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("opening spa.dir: it has no %s; is the app built?", index)
	case err != nil:
		return nil, fmt.Errorf("opening spa.dir: %s: %w", index, err)
	}
	_ = file.Close()
	return h, nil
}

func policy(cfg Config) func() string {
	return func() string {
		switch {
		case cfg.ContentSecurityPolicy != "":
			return cfg.ContentSecurityPolicy
		case cfg.LogoutOrigin != nil:
			return DefaultPolicy(cfg.StorageOrigin, cfg.LogoutOrigin())
		default:
			return DefaultPolicy(cfg.StorageOrigin, "")
		}
	}
}

// DefaultPolicy lets the app load and call what is its own, and the bucket at
// storageOrigin, and send forms to itself and on to logoutOrigin: a form's
// redirects count, too, and a logout by form is redirected to the provider (CSP
// Level 3 §6.4.1; ASVS V3.4.3). Either may be empty.
func DefaultPolicy(storageOrigin, logoutOrigin string) string {
	storage, logout := source(storageOrigin), source(logoutOrigin)
	return "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'" +
		"; img-src 'self' data: blob:" + storage + "; media-src 'self' blob:" + storage + "; connect-src 'self'" + storage +
		"; base-uri 'none'; form-action 'self'" + logout + "; frame-ancestors 'none'"
}

// source adds an origin to a list of sources. One that would end the list and
// begin a directive of its own is left out; a host may hold these characters
// (RFC 3986 §3.2.2), and the provider's comes from its discovery document.
func source(origin string) string {
	if origin == "" || strings.ContainsAny(origin, " ;,'*\t\r\n") {
		return ""
	}
	return " " + origin
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.NoteRoute(r, "spa")
	h.site.Methods(h.site.Handle(h.serve), http.MethodGet, http.MethodHead).ServeHTTP(w, r)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	file, info, name, err := h.open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	header := w.Header()
	header.Add("Vary", "Accept-Encoding")
	if smaller, size, coding := h.variant(name, r.Header["Accept-Encoding"]); smaller != nil {
		defer func() { _ = smaller.Close() }()
		file, info = smaller, size
		header.Set("Content-Encoding", coding)
	}
	content, ok := file.(io.ReadSeeker)
	if !ok {
		return web.NewProblem(web.CodeInternal, "an internal error occurred", errors.New("a file that cannot seek"))
	}
	header.Set("Content-Security-Policy", h.policy())
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	modified := info.ModTime()
	if isHashed(path.Base(name)) {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache") // kept, but asked for each time
		if info.Size() <= taggedSize {
			tag, err := entityTag(content)
			if err != nil {
				return web.NewProblem(web.CodeInternal, "an internal error occurred", err)
			}
			header.Set("ETag", tag)
			modified = time.Time{}
		}
	}
	if mediaType := typeOf(name); mediaType != "" {
		header.Set("Content-Type", mediaType)
	}
	http.ServeContent(w, r, name, modified, content)
	return nil
}

// mediaTypeOf is the type of files that an app does not work without: with
// nosniff, a browser runs no script and applies no style of another type. Others
// are told by package mime, which asks the machine: a minimal image knows few,
// and some machines know wrong ones.
func mediaTypeOf(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs", ".cjs": // WHATWG HTML §12.3.1
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".wasm": // WebAssembly Web API §6: compiled as it streams with this type only
		return "application/wasm"
	case ".webmanifest": // Web App Manifest, appendix A
		return "application/manifest+json"
	case ".svg":
		return "image/svg+xml"
	case ".woff2": // RFC 8081 §4.4.6
		return "font/woff2"
	}
	return ""
}

const taggedSize = 1 << 20

// entityTag hashes the content. The time of a file's last change cannot tell an
// app from its successor: a rollback has an older one, and images are built with
// the same time for every file.
func entityTag(content io.ReadSeeker) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return "", fmt.Errorf("hashing file: %w", err)
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("hashing file: %w", err)
	}
	return `"` + hex.EncodeToString(hash.Sum(nil)[:16]) + `"`, nil
}

// open returns the file called name, or index.html if there is none and name
// does not look like a file: a missing script must be a 404, not a page. opened
// is the one of the two that it is.
func (h *Handler) open(name string) (file fs.File, info fs.FileInfo, opened string, err error) {
	if file, info, err = h.regular(name); err == nil {
		return file, info, name, nil
	}
	if hidden(name) || strings.HasPrefix(name, ".well-known/") || asset.MatchString(name) {
		return nil, nil, "", web.NewProblem(web.CodeNotFound, "there is no such file", err)
	}
	if file, info, err = h.regular(index); err != nil {
		return nil, nil, "", web.NewProblem(web.CodeNotFound, "the app is gone", err)
	}
	return file, info, index, nil
}

var errNoFile = errors.New("not a regular file")

// regular opens a file. It looks before it opens, because opening a pipe waits
// for somebody to write into it, and again at what it opened.
func (h *Handler) regular(name string) (fs.File, fs.FileInfo, error) {
	if !fs.ValidPath(name) || hidden(name) {
		return nil, nil, errNoFile
	}
	info, err := fs.Stat(h.files, name)
	if err != nil {
		return nil, nil, fmt.Errorf("looking at file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errNoFile
	}
	file, err := h.files.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("opening file: %w", err)
	}
	info, err = file.Stat()
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

// asset matches the names of files. /users/jane.doe is a page of the app.
var asset = regexp.MustCompile(`(?i)\.([cm]?js|css|map|wasm|json|webmanifest|html?|xml|txt|pdf|ico|png|jpe?g|gif|svg|webp|avif` +
	`|woff2?|ttf|otf|eot|mp[34]|webm|ogg|zip|gz|br)$`)

// hashed matches the names that bundlers give: the content's hash is in them,
// eight characters (Vite, Rollup, esbuild) or more in hexadecimal (webpack).
// icon-1024x1024.png is none.
var hashed = regexp.MustCompile(`[-.]([A-Za-z0-9_-]{8}|[0-9a-f]{8,64})\.([cm]?js|css|woff2?|ttf|otf|png|jpe?g|svg|webp|avif|gif|ico|wasm|map)$`)

// word matches what people write where a hash would be: mainPage, banner01, a
// date, 1280x720. Kept for a year by mistake, a file could not be replaced; a
// hash that happens to look like this is only asked for each time.
const word = `(\d*x?\d*|[A-Za-z]?[a-z]*([A-Z][a-z]{2,})*\d*)`

var words = regexp.MustCompile(`^` + word + `([-_]` + word + `)*$`)

func isHashed(name string) bool {
	found := hashed.FindStringSubmatch(name)
	return found != nil && !words.MatchString(found[1])
}

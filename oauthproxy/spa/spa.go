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
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// Config is what a [Handler] needs.
type Config struct {
	// Dir is the directory of the built app. It must contain index.html. Required.
	Dir string
	// ContentSecurityPolicy replaces [DefaultPolicy].
	ContentSecurityPolicy string
	// StorageOrigin is the bucket's origin, to which the app may connect and from which
	// it may show images. Default none.
	StorageOrigin string
	// Site writes error responses. Required.
	Site *web.Site
}

// Handler serves the app.
type Handler struct {
	files   fs.FS
	policy  string
	tags    tagCache
	handler http.Handler
}

const index = "index.html"

// New opens the directory. It returns an error if that has no index.html.
func New(cfg Config) (*Handler, error) {
	root, err := open(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("opening spa.dir: %w", err)
	}
	h := &Handler{files: root.FS(), policy: policy(cfg), tags: tagCache{now: cfg.Site.Now}}
	h.handler = cfg.Site.Methods(cfg.Site.Handle(h.serve), http.MethodGet, http.MethodHead)
	return h, nil
}

// Check returns an error if [New] would refuse the directory.
func Check(dir string) error {
	root, err := open(dir)
	if err != nil {
		return err
	}
	_ = root.Close()
	return nil
}

// open opens the directory of an app, which must have an index.html. A root does not
// follow symbolic links out of the directory.
func open(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	file, _, err := regular(root.FS(), index)
	if err == nil {
		_ = file.Close()
		return root, nil
	}
	_ = root.Close()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNotBuilt
	}
	return nil, fmt.Errorf("%s: %w", index, err)
}

func policy(cfg Config) string {
	if cfg.ContentSecurityPolicy != "" {
		return cfg.ContentSecurityPolicy
	}
	return DefaultPolicy(cfg.StorageOrigin)
}

// DefaultPolicy returns the Content-Security-Policy for an app that loads and calls
// only its own origin and the bucket at storageOrigin, which may be empty. Forms may be
// sent to the app's origin only: a logout by form is not answered by a redirect to the
// provider, to which form-action would apply as well (CSP Level 3 §6.4.1; ASVS V3.4.3).
func DefaultPolicy(storageOrigin string) string {
	storage := source(storageOrigin)
	return "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'" +
		"; img-src 'self' data: blob:" + storage + "; media-src 'self' blob:" + storage + "; connect-src 'self'" + storage +
		"; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

// source returns origin as a further item of a source list. It leaves out an origin
// that would end the list and begin another directive: a host may contain these
// characters (RFC 3986 §3.2.2).
func source(origin string) string {
	if origin == "" || strings.ContainsAny(origin, " ;,'*\t\r\n") {
		return ""
	}
	return " " + origin
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.NoteRoute(r, "spa")
	h.handler.ServeHTTP(w, r)
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
		return web.NewProblem(web.CodeInternal, "an internal error occurred", errors.New("the file cannot seek"))
	}
	header.Set("Content-Security-Policy", h.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	modified := info.ModTime()
	if isHashed(path.Base(name)) {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache") // stored, but revalidated each time
		if info.Size() <= maxTaggedSize {
			tag, err := h.tags.tag(content, info)
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

// mediaTypeOf returns the media types of files without which an app does not work: with
// nosniff, a browser runs no script and applies no style sheet of another type. It
// returns "" for others. Package mime would use the machine's table of types: minimal
// container images have few of them, and some machines have wrong ones.
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

// open opens the file called name. If there is none and name does not look like that
// of a file, it opens index.html; a missing script must be a 404 and not a page.
// opened is the name of the file that it opened.
func (h *Handler) open(name string) (file fs.File, info fs.FileInfo, opened string, err error) {
	if file, info, err = regular(h.files, name); err == nil {
		return file, info, name, nil
	}
	if hidden(name) || strings.HasPrefix(name, ".well-known/") || asset.MatchString(name) {
		return nil, nil, "", web.NewProblem(web.CodeNotFound, "there is no such file", err)
	}
	if file, info, err = regular(h.files, index); err != nil {
		return nil, nil, "", web.NewProblem(web.CodeNotFound, "the app is gone", err)
	}
	return file, info, index, nil
}

var (
	errNoFile   = errors.New("not a regular file")
	errNotBuilt = errors.New("it has no " + index)
)

// regular opens a regular file. It checks the type before opening, because opening a
// pipe waits for a writer, and again after opening, because the file may have been
// replaced in between.
func regular(files fs.FS, name string) (fs.File, fs.FileInfo, error) {
	if !fs.ValidPath(name) || hidden(name) {
		return nil, nil, errNoFile
	}
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, nil, fmt.Errorf("reading file status: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errNoFile
	}
	file, err := files.Open(name)
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

// hidden reports whether name contains a dot file such as .git or .env, which is not
// part of an app. .well-known is.
func hidden(name string) bool {
	for segment := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(segment, ".") && segment != ".well-known" {
			return true
		}
	}
	return false
}

// asset matches names that look like files. /users/jane.doe does not: it is a page of
// the app.
var asset = regexp.MustCompile(`(?i)\.([cm]?js|css|map|wasm|json|webmanifest|html?|xml|txt|pdf|ico|png|jpe?g|gif|svg|webp|avif` +
	`|woff2?|ttf|otf|eot|mp[34]|webm|ogg|zip|gz|br)$`)

// hashed matches the names that bundlers give to files, which contain a hash of the
// content: eight characters (Vite, Rollup, esbuild), or up to 64 hexadecimal digits
// (webpack).
var hashed = regexp.MustCompile(`[-.]([A-Za-z0-9_-]{8}|[0-9a-f]{8,64})\.([cm]?js|css|woff2?|ttf|otf|png|jpe?g|svg|webp|avif|gif|ico|wasm|map)$`)

// word matches what people write in the place of a hash: mainPage, banner01, a date,
// 1280x720. A file that is cached for a year by mistake cannot be replaced, while a
// hash that looks like a word only costs a revalidation.
const word = `(\d*x?\d*|[A-Za-z]?[a-z]*([A-Z][a-z]{2,})*\d*)`

var words = regexp.MustCompile(`^` + word + `([-_]` + word + `)*$`)

func isHashed(name string) bool {
	found := hashed.FindStringSubmatch(name)
	return found != nil && !words.MatchString(found[1])
}

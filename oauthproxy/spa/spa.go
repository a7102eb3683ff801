package spa

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// Config is what a [Handler] needs.
type Config struct {
	// Dir is the directory of the built app. It must contain index.html. Required.
	Dir string
	// ContentSecurityPolicy replaces [DefaultPolicy] and what HTML files need beyond it.
	// [Placeholder] is replaced in it, too.
	ContentSecurityPolicy string
	// ExtraPolicy are sources that are added to the policy, written as a policy.
	ExtraPolicy string
	// StorageOrigin is the bucket's origin, to which the app may connect and from which
	// it may show images. Default none.
	StorageOrigin string
	// Site writes error responses. Required.
	Site *web.Site
	// Log is told of pages whose policy is too long for proxies. Required.
	Log *slog.Logger
}

// Handler serves the app.
type Handler struct {
	dir string
	now func() time.Time
	// current is what spa.dir leads to, as far as it can be served. See Reload.
	current atomic.Pointer[build]
	// policy is that of all files but HTML files. custom tells that it is the operator's;
	// otherwise it is base.
	policy string
	custom bool
	base   policy
	log    *slog.Logger
	// tooLong are the names of the files of which the log has been told.
	tooLong sync.Map
	handler http.Handler
}

const (
	index = "index.html"
	// fallback is the page for all paths that have no file, if a build has one beside a
	// prerendered index.html (SvelteKit, "Single-page apps").
	fallback = "200.html"
	// missing is the page for paths that do not exist, and nextDir the directory by which
	// an export of Next.js is recognised. Elsewhere a file of that name may be a copy of
	// index.html, as for hosts that know no other fallback.
	missing = "404.html"
	nextDir = "_next"
)

// New opens the directory. It returns an error if that has no index.html, or if
// Config.ExtraPolicy is malformed.
func New(cfg Config) (*Handler, error) {
	h := &Handler{dir: cfg.Dir, now: cfg.Site.Now, custom: cfg.ContentSecurityPolicy != "", log: cfg.Log}
	if _, err := h.Reload(); err != nil {
		return nil, err
	}
	if err := h.setPolicy(cfg); err != nil {
		return nil, err
	}
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

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	web.NoteRoute(r, "spa")
	h.handler.ServeHTTP(w, r)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	f, err := h.current.Load().open(strings.TrimPrefix(path.Clean(r.URL.Path), "/"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	header := w.Header()
	header.Set("Content-Security-Policy", withNonce(h.policy))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Add("Vary", "Accept-Encoding")
	if mediaType := typeOf(f.name); mediaType != "" {
		header.Set("Content-Type", mediaType)
	}
	if path.Ext(f.name) == ".html" && f.info.Size() <= maxTaggedSize {
		return h.servePage(w, r, f)
	}
	return serveFile(w, r, f)
}

// servePage serves an HTML file with the policy that it needs. A file with a placeholder
// is another one each time, and must not be stored: after a 304 a browser would combine
// the value of an old response with the policy of a new one.
func (h *Handler) servePage(w http.ResponseWriter, r *http.Request, f opened) error {
	var content []byte
	found, err := f.build.pages.get(f.info, func() (p page, err error) {
		if content, err = readAll(f.content, f.info); err == nil {
			p = h.inspect(f.name, content)
		}
		return p, err
	})
	if err == nil && content == nil && (found.hasPlaceholder || f.status != http.StatusOK) {
		content, err = readAll(f.content, f.info)
	}
	if err != nil {
		return web.NewProblem(web.CodeInternal, "an internal error occurred", err)
	}
	if found.hasPlaceholder {
		nonce := rand.Text() // 128 bits (CSP Level 3 §7.1)
		content = bytes.ReplaceAll(content, []byte(Placeholder), []byte(nonce))
		found.policy = strings.ReplaceAll(h.policyOf(f.name, content, true), Placeholder, nonce)
	}
	header := w.Header()
	if found.policy != "" {
		header.Set("Content-Security-Policy", withNonce(found.policy))
	}
	if !found.hasPlaceholder && f.status == http.StatusOK {
		return serveFile(w, r, f)
	}
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(f.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(content)
	}
	return nil
}

// serveFile serves a file, or its best variant.
func serveFile(w http.ResponseWriter, r *http.Request, f opened) error {
	content, info := f.content, f.info
	header := w.Header()
	if smaller, size, coding := f.build.variant(f.name, r.Header["Accept-Encoding"]); smaller != nil {
		defer func() { _ = smaller.Close() }()
		seeker, ok := smaller.(io.ReadSeeker)
		if !ok {
			return cannotSeek()
		}
		content, info = seeker, size
		header.Set("Content-Encoding", coding)
	}
	modified := info.ModTime()
	if isHashed(path.Base(f.name)) {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache") // stored, but revalidated each time
		if info.Size() <= maxTaggedSize {
			tag, err := f.build.tags.get(info, func() (string, error) { return entityTag(content) })
			if err != nil {
				return web.NewProblem(web.CodeInternal, "an internal error occurred", err)
			}
			header.Set("ETag", tag)
			modified = time.Time{}
		}
	}
	http.ServeContent(w, r, f.name, modified, content)
	return nil
}

func cannotSeek() error {
	return web.NewProblem(web.CodeInternal, "an internal error occurred", errors.New("the file cannot seek"))
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

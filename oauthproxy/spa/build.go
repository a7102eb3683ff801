package spa

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"cognito-token-handler/tokenhandler/web"
)

// build is a directory with a build of the app. It is never closed, because requests may
// use it: the runtime closes it when nobody does.
type build struct {
	root  *os.Root
	files fs.FS
	// identity is that of the directory, whatever its path is.
	identity fs.FileInfo
	// exported tells that Next.js has exported the app: every page has a file.
	exported bool
	tags     versions[string]
	pages    versions[page]
}

// Reload opens the directory again if Config.Dir leads to another one by now: a link was
// changed, or the directory was replaced. One that cannot be served does not replace the
// one in use. Only one goroutine may call it.
func (h *Handler) Reload() (changed bool, err error) {
	current := h.current.Load()
	if current != nil {
		info, err := os.Stat(h.dir)
		if err == nil && os.SameFile(info, current.identity) {
			return false, nil
		}
	}
	root, err := open(h.dir)
	if err != nil {
		return false, fmt.Errorf("opening spa.dir: %w", err)
	}
	next := &build{root: root, files: root.FS()}
	if next.identity, err = root.Stat("."); err != nil {
		return false, fmt.Errorf("opening spa.dir: %w", err)
	}
	next.tags.now, next.pages.now = h.now, h.now
	if info, err := fs.Stat(next.files, nextDir); err == nil && info.IsDir() {
		next.exported = true
	}
	h.current.Store(next)
	h.tooLong.Clear()
	return true, nil
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

// opened is a file that is open.
type opened struct {
	fs.File

	content io.ReadSeeker
	info    fs.FileInfo
	name    string
	build   *build
	// status is that of the response: 404 for the page of paths that do not exist.
	status int
}

// open opens the file called name, or the page of that name: about.html or
// about/index.html for about, as static exports write them. If there is neither and name
// does not look like that of a file, it opens the app's page for all other paths. A
// missing script must be a 404 and not a page.
func (b *build) open(name string) (opened, error) {
	f, err := b.openFile(name, http.StatusOK)
	if err == nil {
		return f, nil
	}
	if hidden(name) || strings.HasPrefix(name, ".well-known/") || asset.MatchString(name) {
		return opened{}, web.NewProblem(web.CodeNotFound, "there is no such file", err)
	}
	if name != "" {
		for _, candidate := range []string{name + ".html", name + "/" + index} {
			if f, err := b.openFile(candidate, http.StatusOK); err == nil {
				return f, nil
			}
		}
		if f, found := b.openOther(); found {
			return f, nil
		}
	}
	if f, err = b.openFile(index, http.StatusOK); err != nil {
		return opened{}, web.NewProblem(web.CodeNotFound, "the app is gone", err)
	}
	return f, nil
}

// openOther opens what an app has for paths without a file, if that is not its index.html.
func (b *build) openOther() (opened, bool) {
	if f, err := b.openFile(fallback, http.StatusOK); err == nil {
		return f, true
	}
	if !b.exported {
		return opened{}, false
	}
	f, err := b.openFile(missing, http.StatusNotFound)
	return f, err == nil
}

func (b *build) openFile(name string, status int) (opened, error) {
	file, info, err := regular(b.files, name)
	if err != nil {
		return opened{}, err
	}
	content, ok := file.(io.ReadSeeker)
	if !ok {
		_ = file.Close()
		return opened{}, cannotSeek()
	}
	return opened{File: file, content: content, info: info, name: name, build: b, status: status}, nil
}

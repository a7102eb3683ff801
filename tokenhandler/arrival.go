package tokenhandler

import (
	"html/template"
	"net/http"
)

const (
	// maxHead is the largest head of an answer, in bytes, that nginx accepts with its
	// default buffers.
	maxHead = 4096
	// otherHead is the size of the status line, Date, the name of Location and the
	// empty line.
	otherHead = 128
)

// arrive sends the browser to where its login began. The head of the answer contains
// the session's cookies. A return path that does not fit beside them is put into the
// body, because proxies would otherwise answer 502 to a login that has succeeded.
func (h *loginHandler) arrive(w http.ResponseWriter, returnTo string) {
	if head := headBytes(w.Header()); head+len(returnTo) <= maxHead || head > maxHead {
		h.cfg.Site.Redirect(w, http.StatusSeeOther, returnTo)
		return
	}
	goOn(w, "Signed in", returnTo)
}

// goOn answers with a page that navigates to target by itself.
func goOn(w http.ResponseWriter, title, target string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	_ = goOnPage.Execute(w, map[string]string{"Title": title, "Refresh": "0; url=" + target, "Target": target})
}

// headBytes returns the size of an answer's head without Location.
func headBytes(header http.Header) int {
	size := otherHead
	for name, values := range header {
		for _, value := range values {
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	return size
}

//nolint:gochecknoglobals // parsed once
var goOnPage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="{{.Refresh}}">
<title>{{.Title}}</title>
<p><a href="{{.Target}}">Go on</a></p>
</html>
`))

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

// redirect sends the browser on. The head of the answer contains cookies. A target
// that does not fit beside them is put into the body of a page with this title,
// because proxies would otherwise answer 502.
func (h *loginHandler) redirect(w http.ResponseWriter, status int, target, title string) {
	if head := headBytes(w.Header()); head+len(target) <= maxHead || head > maxHead {
		h.cfg.Site.Redirect(w, status, target)
		return
	}
	goOn(w, title, target)
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

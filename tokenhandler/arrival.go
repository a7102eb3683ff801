package tokenhandler

import (
	"html/template"
	"net/http"
)

const (
	// maxHead is what nginx with default buffers takes of an answer's head.
	maxHead = 4096
	// otherHead are the status line, Date, Location's name and the empty line.
	otherHead = 128
)

// arrive sends the browser to where its login began. The head of this answer
// holds a whole session: a return path that no longer fits beside it travels
// in the body, or proxies would make a 502 of a login that worked.
func (h *Handler) arrive(w http.ResponseWriter, returnTo string) {
	if head := headBytes(w.Header()); head+len(returnTo) <= maxHead || head > maxHead {
		h.cfg.Site.Redirect(w, http.StatusSeeOther, returnTo)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	_ = arrivalPage.Execute(w, map[string]string{"Refresh": "0; url=" + returnTo, "Target": returnTo})
}

// headBytes is the size of an answer's head without its Location.
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
var arrivalPage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="{{.Refresh}}">
<title>Signed in</title>
<p><a href="{{.Target}}">Go on</a></p>
</html>
`))

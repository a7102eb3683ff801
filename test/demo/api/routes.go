package demoapi

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

const (
	maxWaitMS  = 60_000
	maxMessage = 64 << 10
)

// me responds with the claims of the caller's access token.
func me(w http.ResponseWriter, _ *http.Request, caller claims) {
	writeJSON(w, http.StatusOK, map[string]any{"claims": caller})
}

// slow responds after ?ms= milliseconds: at most a minute, by default a second.
func slow(w http.ResponseWriter, r *http.Request, _ claims) {
	wait := time.Second
	if text := r.URL.Query().Get("ms"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms < 0 || ms > maxWaitMS {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "ms must be a number from 0 to 60000"})
			return
		}
		wait = time.Duration(ms) * time.Millisecond
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		writeJSON(w, http.StatusOK, map[string]int64{"waited_ms": wait.Milliseconds()})
	case <-r.Context().Done():
	}
}

// events sends server-sent events with a number until the client closes the connection: one at once, and then one in each interval.
func (a *API) events(w http.ResponseWriter, r *http.Request, caller claims) {
	controller := http.NewResponseController(w)
	_ = controller.SetWriteDeadline(time.Time{}) // the server's write time-out is for ordinary responses
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	ticker := time.NewTicker(a.interval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		_, err := fmt.Fprintf(w, "id: %d\nevent: tick\ndata: {\"n\":%d,\"sub\":%q,\"time\":%q}\n\n",
			n, n, caller.text("sub"), time.Now().UTC().Format(time.RFC3339))
		if err != nil || controller.Flush() != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

// socket sends every message back.
func socket(w http.ResponseWriter, r *http.Request, _ claims) {
	// The origin need not be checked: the credential is a token and not a cookie, so that a page of another site cannot send it.
	connection, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has sent an error response
	}
	defer func() { _ = connection.CloseNow() }()
	connection.SetReadLimit(maxMessage)
	for {
		kind, message, err := connection.Read(r.Context())
		if err != nil {
			return
		}
		if err := connection.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

// echo responds with a description of the request: the size and type of the body, and the headers that a proxy in front must set
// correctly.
func echo(w http.ResponseWriter, r *http.Request, _ claims) {
	size, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "the body broke off"})
		return
	}
	visible, others := describeHeaders(r.Header)
	writeJSON(w, http.StatusOK, map[string]any{
		"bytes": size, "content_type": r.Header.Get("Content-Type"), "content_length": r.ContentLength,
		"method": r.Method, "path": r.URL.Path, "query": r.URL.RawQuery, "host": r.Host,
		"headers": visible, "other_headers": others,
	})
}

// describeHeaders returns the headers that hold no secret, the length of the token in Authorization, and the names of all other
// headers.
func describeHeaders(header http.Header) (visible map[string][]string, others []string) {
	visible, others = map[string][]string{}, []string{}
	for name, values := range header {
		for _, value := range values {
			switch {
			case name == "Authorization":
				scheme, token, _ := strings.Cut(value, " ")
				visible[name] = append(visible[name], fmt.Sprintf("%s [%d bytes]", scheme, len(token)))
			case slices.Contains(nonSecretHeaders(), name):
				visible[name] = append(visible[name], value)
			}
		}
		if visible[name] == nil {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return visible, others
}

func nonSecretHeaders() []string {
	return []string{
		"Accept", "Accept-Encoding", "Content-Type", "Forwarded", "Origin", "Sec-Fetch-Site", "Traceparent", "User-Agent", "Via",
		"X-Csrf", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id",
	}
}

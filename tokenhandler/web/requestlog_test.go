package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

// instrumented returns h with the middleware of a site whose clock advances by 1.5 ms each
// time it is read.
func instrumented(t *testing.T, log io.Writer, h func(*web.Site) http.Handler) http.Handler {
	t.Helper()
	cfg := siteConfig(t, log)
	var mu sync.Mutex
	at := noon
	cfg.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(1500 * time.Microsecond)
		return at
	}
	site := web.NewSite(cfg)
	return site.Instrument(h(site))
}

func TestInstrumentLogsOneRecord(t *testing.T) {
	var log testkit.Log
	h := instrumented(t, &log, func(s *web.Site) http.Handler {
		return s.Handle(func(_ http.ResponseWriter, r *http.Request) error {
			return web.NewProblem(web.CodeUpstreamError, "no answer", errors.New("dialing: refused")).WithHeader("X-Id", web.RequestID(r))
		})
	})
	r := request(t, "POST", "/api/x?code=planted-query", http.Header{
		"Cookie": {"session=planted-cookie"}, "Authorization": {"Bearer planted-token"}, "Referer": {"https://x/?planted-referer"},
		"User-Agent": {"planted-agent"}, "X-Forwarded-For": {"203.0.113.9"}, "X-Request-Id": {"planted id"},
	})
	r.RemoteAddr = "10.0.0.1:1234"
	rec := serve(h, r)
	id := rec.Header().Get("X-Request-ID")
	if len(id) < 16 || id != rec.Header().Get("X-Id") || body(t, rec)["request_id"] != id {
		t.Errorf("the id is %q, within %q, answered %s", id, rec.Header().Get("X-Id"), rec.Body)
	}
	want := []map[string]any{{
		"level": "WARN", "msg": "request", "request_id": id, "method": "POST", "path": "/api/x", "status": 502.0,
		"bytes": float64(rec.Body.Len()), "duration_ms": 1.5, "client_ip": "203.0.113.9",
		"error_code": "upstream_error", "error": "upstream_error: no answer: dialing: refused",
	}}
	if diff := cmp.Diff(want, log.Records(t)); diff != "" {
		t.Error(diff)
	}
	if log.Contains("planted") {
		t.Errorf("logged: %s", log.String())
	}
	if strings.Contains(rec.Body.String(), "dialing") {
		t.Errorf("the cause was answered: %s", rec.Body)
	}
}

// named is a session.
type named string

func (n named) LogName() string { return string(n) }

func (n named) LogSubject() string { return "sub of " + string(n) }

// TestRefusedSessionsAreWarnings: at log.level warn, the log shows the requests that
// failed and the users who were refused, with their sessions. Requests without a session
// are not warnings, because anybody can send any number of them.
func TestRefusedSessionsAreWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		session web.Named
		code    web.Code
		level   string
		want    any
	}{
		"ended":               {named("s-1"), web.CodeSessionExpired, "WARN", "s-1"},
		"not allowed":         {named("s-1"), web.CodeInsufficientScope, "WARN", "s-1"},
		"too often":           {named("s-1"), web.CodeRateLimited, "WARN", "s-1"},
		"failed":              {named("s-1"), web.CodeUpstreamTimeout, "WARN", "s-1"},
		"not found":           {named("s-1"), web.CodeNotFound, "INFO", "s-1"},
		"no session":          {nil, web.CodeNotAuthenticated, "INFO", nil},
		"no session, failed":  {nil, web.CodeUpstreamTimeout, "WARN", nil},
		"other site":          {nil, web.CodeCrossSiteRequest, "INFO", nil},
		"nothing was refused": {named("s-1"), "", "INFO", "s-1"},
	} {
		var log testkit.Log
		h := instrumented(t, &log, func(s *web.Site) http.Handler {
			return s.Handle(func(_ http.ResponseWriter, r *http.Request) error {
				if c.session != nil {
					web.NoteSession(r, c.session)
				}
				if c.code == "" {
					return nil
				}
				return web.NewProblem(c.code, "", nil)
			})
		})
		serve(h, request(t, "GET", "/", nil))
		got := log.RecordsOf(t, "request")
		if len(got) != 1 || got[0]["level"] != c.level || got[0]["session"] != c.want {
			t.Fatalf("%s: logged %v, want %s with session %v", name, got, c.level, c.want)
		}
		if c.want != nil && got[0]["sub"] != "sub of s-1" {
			t.Errorf("%s: the sub is %v", name, got[0]["sub"])
		}
	}
}

// TestWhichRequestsAreLogged: log.requests leaves out records, and what is counted stays
// the same.
func TestWhichRequestsAreLogged(t *testing.T) {
	codes := []web.Code{"", web.CodeNotFound, web.CodeRateLimited, web.CodeUpstreamError}
	for which, want := range map[string]int{"": 4, web.LogAllRequests: 4, web.LogFailedRequests: 3, web.LogNoRequests: 0} {
		var log testkit.Log
		var seen []int
		var limits []string
		s := web.NewSite(web.Config{
			PublicURL: testkit.MustURL(t, "https://app.example.com"), Log: log.Logger(), Now: time.Now, LogRequests: which,
			Observe: func(_ *http.Request, status int, _ time.Duration) { seen = append(seen, status) },
			Limited: func(_ *http.Request, limit string, _ web.Named) { limits = append(limits, limit) },
		})
		for _, code := range codes {
			serve(s.Instrument(s.Handle(func(http.ResponseWriter, *http.Request) error {
				if code == "" {
					return nil
				}
				return web.NewProblem(code, "", nil).By(map[web.Code]string{web.CodeRateLimited: web.LimitRefresh}[code])
			})), request(t, "GET", "/", nil))
		}
		if got := len(log.RecordsOf(t, "request")); got != want {
			t.Errorf("log.requests %q: %d records, want %d", which, got, want)
		}
		if !slices.Equal(seen, []int{200, 404, 429, 502}) || !slices.Equal(limits, []string{web.LimitRefresh}) {
			t.Errorf("log.requests %q: counted %v and %v", which, seen, limits)
		}
	}
}

// TestRequestIDOfATrustedProxy: the id of a trusted proxy stays if it is safe everywhere.
// All others are replaced, because clients can forge them.
func TestRequestIDOfATrustedProxy(t *testing.T) {
	const proxy, client = "10.0.0.1:1234", "203.0.113.9:1234"
	long := strings.Repeat("a", 128)
	for name, c := range map[string]struct {
		peer string
		sent []string
		kept bool
	}{
		"UUID":               {proxy, []string{"0d9c6f5e-8f9a-4b57-9a56-0c3f2a4d1e00"}, true},
		"AWS":                {proxy, []string{"Root=1-67891233-abcdef012345678912345678"}, true},
		"longest":            {proxy, []string{long}, true},
		"of a client":        {client, []string{"0d9c6f5e-8f9a-4b57-9a56-0c3f2a4d1e00"}, false},
		"too long":           {proxy, []string{long + "a"}, false},
		"empty":              {proxy, []string{""}, false},
		"two":                {proxy, []string{"abcdefgh", "abcdefgh"}, false},
		"a space":            {proxy, []string{"abc def"}, false},
		"a line":             {proxy, []string{"abc\ndef"}, false},
		"markup":             {proxy, []string{"<b>"}, false},
		"quote":              {proxy, []string{`a"b`}, false},
		"not ASCII":          {proxy, []string{"caf\u00e9"}, false},
		"before the letters": {proxy, []string{"a@b"}, false},
		"after the letters":  {proxy, []string{"a[b"}, false},
	} {
		var log testkit.Log
		var inside string
		h := instrumented(t, &log, func(*web.Site) http.Handler {
			return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = web.RequestID(r) })
		})
		r := request(t, "GET", "/", http.Header{"X-Request-Id": c.sent})
		r.RemoteAddr = c.peer
		answered := serve(h, r).Header().Get("X-Request-ID")
		logged := log.RecordsOf(t, "request")[0]["request_id"]
		if answered != inside || logged != inside || len(inside) < 8 {
			t.Errorf("%s: the ids are %q, %q and %q", name, answered, inside, logged)
		}
		if kept := inside == c.sent[0]; kept != c.kept {
			t.Errorf("%s: %q became %q", name, c.sent, inside)
		}
	}
}

func TestInstrumentStatus(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		status  float64
		bytes   float64
		level   string
	}{
		"nothing written": {func(http.ResponseWriter, *http.Request) {}, 200, 0, "INFO"},
		"written":         {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "four") }, 200, 4, "INFO"},
		"status":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, 204, 0, "INFO"},
		"early hints first": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		}, 404, 0, "INFO"},
		"two statuses": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			w.WriteHeader(http.StatusInternalServerError) // net/http ignores it
		}, 201, 0, "INFO"},
		"switched protocols": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) }, 101, 0, "INFO"},
		"an upstream's 500":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, 500, 0, "WARN"},
	} {
		t.Run(name, func(t *testing.T) {
			var log testkit.Log
			serve(instrumented(t, &log, func(*web.Site) http.Handler { return c.handler }), request(t, "GET", "/", nil))
			got := log.Records(t)
			if len(got) != 1 || got[0]["status"] != c.status || got[0]["bytes"] != c.bytes || got[0]["level"] != c.level {
				t.Errorf("logged %v", got)
			}
		})
	}
}

func TestInstrumentBoundsAndEscapesTheRequestLine(t *testing.T) {
	var log testkit.Log
	r := request(t, "GET", "/", nil)
	r.Method += strings.Repeat("X", 10_000)
	r.URL.Path = "/a\n{\"level\":\"ERROR\"}" + strings.Repeat("x", 10_000)
	serve(instrumented(t, &log, func(*web.Site) http.Handler { return ok }), r)
	got := log.Records(t) // fails if a record is not on one line
	if len(got) != 1 || len(fmt.Sprint(got[0]["path"])) > 300 || len(fmt.Sprint(got[0]["method"])) > 50 {
		t.Errorf("logged %s", log.String())
	}
}

func TestInstrumentHSTS(t *testing.T) {
	for public, want := range map[string]string{"https://app.example.com": "max-age=31536000", "http://localhost:8080": ""} {
		cfg := siteConfig(t, t.Output())
		cfg.PublicURL = mustParse(t, public)
		rec := serve(web.NewSite(cfg).Instrument(ok), request(t, "GET", "/", nil))
		if got := rec.Header().Get("Strict-Transport-Security"); got != want {
			t.Errorf("%s: %q, want %q", public, got, want)
		}
	}
}

func TestRequestIDOutsideInstrument(t *testing.T) {
	if id := web.RequestID(request(t, "GET", "/", nil)); id != "" {
		t.Errorf("%q", id)
	}
}

// The test uses a real connection, because it is net/http's server that ends the response
// after a panic.
func TestInstrumentPanics(t *testing.T) {
	const planted = "planted-panic-value"
	for name, c := range map[string]struct {
		handler  http.HandlerFunc
		status   int // 0: the connection breaks
		messages []string
	}{
		"before the answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			panic(planted)
		}, 500, []string{"panic recovered", "request"}},
		"an error value":    {func(http.ResponseWriter, *http.Request) { panic(errors.New(planted)) }, 500, []string{"panic recovered", "request"}},
		"within the answer": {panicWithin, 0, []string{"panic recovered", "request"}},
		// The reverse proxy panics with this error if the upstream breaks off a response.
		"abort": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, []string{"request"}},
	} {
		t.Run(name, func(t *testing.T) {
			var log, serverLog testkit.Log
			server := httptest.NewUnstartedServer(instrumented(t, &log, func(*web.Site) http.Handler { return c.handler }))
			server.Config.ErrorLog = slog.NewLogLogger(slog.NewJSONHandler(&serverLog, nil), slog.LevelInfo)
			server.Start()
			status, text := get(t, server.URL)
			server.Close()
			if status != c.status {
				t.Errorf("answered %d %q, want %d", status, text, c.status)
			}
			if status != 0 {
				checkInternal(t, text)
			}
			var messages []string
			for _, record := range log.Records(t) {
				messages = append(messages, fmt.Sprint(record["msg"]))
			}
			if diff := cmp.Diff(c.messages, messages); diff != "" {
				t.Errorf("%s\n%s", diff, log.String())
			}
			if strings.Contains(log.String()+serverLog.String(), planted) || serverLog.String() != "" {
				t.Errorf("logged %s, the server %s", log.String(), serverLog.String())
			}
		})
	}
}

func panicWithin(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, "half")
	_ = http.NewResponseController(w).Flush()
	panic("planted-panic-value")
}

// If a response breaks off before the server has sent any of it, the client gets its head
// nevertheless: browsers repeat a request whose used connection ends without a response.
func TestInstrumentSendsTheHeadOfABrokenResponse(t *testing.T) {
	var log testkit.Log
	server := httptest.NewServer(instrumented(t, &log, func(*web.Site) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(http.StatusCreated)
			panic(http.ErrAbortHandler)
		})
	}))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusCreated || err == nil {
		t.Errorf("answered %d, to the end %v", response.StatusCode, err)
	}
	server.Close()
	if got := log.Records(t); len(got) != 1 || got[0]["status"] != 201.0 || got[0]["interrupted_by"] != "service" {
		t.Errorf("logged %v", got)
	}
}

// get returns the status 0 if there was no complete response.
func get(t *testing.T, address string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{}, Timeout: testkit.Deadline}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(all)
}

func checkInternal(t *testing.T, text string) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("answered %q: %v", text, err)
	}
	delete(got, "request_id")
	want := map[string]any{
		"type": "about:blank", "title": "Internal Server Error", "status": 500.0,
		"code": "internal_error", "detail": "an internal error occurred",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

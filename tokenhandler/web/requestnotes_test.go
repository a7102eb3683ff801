package web_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/tracing"
	"cognito-token-handler/tokenhandler/web"
)

// TestQuietRequests: what health checks ask every second is logged at debug if it is answered,
// and is no warning if it is not. What failed within the service is one all the same.
func TestQuietRequests(t *testing.T) {
	for _, c := range []struct {
		status      int
		problem     web.Code
		loud, quiet string
	}{
		{200, "", "INFO", "DEBUG"},
		{404, "", "INFO", "INFO"},
		{503, "", "WARN", "INFO"},
		{0, web.CodeInternal, "WARN", "WARN"},
	} {
		for _, quiet := range []bool{false, true} {
			var log testkit.Log
			cfg := siteConfig(t, &log)
			cfg.Quiet, cfg.Log = quiet, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			site := web.NewSite(cfg)
			serve(site.Instrument(site.Handle(func(w http.ResponseWriter, _ *http.Request) error {
				if c.problem != "" {
					return web.NewProblem(c.problem, "", nil)
				}
				w.WriteHeader(c.status)
				return nil
			})), request(t, "GET", "/", nil))
			want := map[bool]string{false: c.loud, true: c.quiet}[quiet]
			if got := log.RecordsOf(t, "request"); len(got) != 1 || got[0]["level"] != want {
				t.Errorf("%d %s, quiet %v: logged %v, want %s", c.status, c.problem, quiet, got, want)
			}
		}
	}
}

// TestLogLevelOfRequests: at log.level warn, requests that were answered are not logged.
func TestLogLevelOfRequests(t *testing.T) {
	var log testkit.Log
	cfg := siteConfig(t, &log)
	cfg.Log = slog.New(web.NewJSONHandler(&log, slog.LevelWarn))
	serve(web.NewSite(cfg).Instrument(ok), request(t, "GET", "/", nil))
	if log.String() != "" {
		t.Errorf("logged %s", log.String())
	}
}

// TestWhoInterrupted: the record says who ended a response early. That of an API is a warning.
func TestWhoInterrupted(t *testing.T) {
	note := func(by string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			web.NoteInterrupted(r, by)
		}
	}
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		left    bool // the client has closed the connection
		by      any
		level   string
		logged  int // with log.requests: errors
	}{
		"nobody":          {func(http.ResponseWriter, *http.Request) {}, false, nil, "INFO", 0},
		"the API":         {note(web.ByUpstream), false, web.ByUpstream, "WARN", 1},
		"the client":      {note(web.ByClient), false, web.ByClient, "INFO", 1},
		"its session":     {note(web.BySession), false, web.BySession, "INFO", 1},
		"the service":     {abort, false, "service", "INFO", 1},
		"a client's end":  {abort, true, web.ByClient, "INFO", 1},
		"known before it": {func(w http.ResponseWriter, r *http.Request) { note(web.ByUpstream)(w, r); abort(w, r) }, true, web.ByUpstream, "WARN", 1},
	} {
		for _, which := range []string{web.LogAllRequests, web.LogFailedRequests} {
			var log testkit.Log
			cfg := siteConfig(t, &log)
			cfg.LogRequests = which
			ctx, leave := context.WithCancel(t.Context())
			if c.left {
				leave()
			}
			func() {
				defer func() { _ = recover() }()
				web.NewSite(cfg).Instrument(c.handler).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
			}()
			leave()
			got := log.RecordsOf(t, "request")
			if which == web.LogFailedRequests && len(got) == c.logged && c.logged == 0 {
				continue
			}
			status := map[bool]float64{true: 0, false: 200}[name == "the service" || name == "a client's end"] // 0: nothing was sent
			if len(got) != 1 || got[0]["interrupted_by"] != c.by || got[0]["level"] != c.level || got[0]["status"] != status {
				t.Errorf("%s, log.requests %s: logged %v", name, which, got)
			}
		}
	}
}

// TestNotedProblem: a page that is no problem document can still have its reason in the log.
func TestNotedProblem(t *testing.T) {
	var log testkit.Log
	serve(web.NewSite(siteConfig(t, &log)).Instrument(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		web.NoteProblem(r, web.NewProblem(web.CodeRateLimited, "slowly", nil).By(web.LimitLogin)) // nobody counts limits here
	})), request(t, "GET", "/", nil))
	if got := log.RecordsOf(t, "request"); len(got) != 1 || got[0]["error_code"] != "rate_limited" || got[0]["error"] != "rate_limited: slowly" {
		t.Errorf("logged %v", got)
	}
}

// TestNotesOutsideARequest: without Instrument there is nothing to note anything in.
func TestNotesOutsideARequest(t *testing.T) {
	r := request(t, "GET", "/", nil)
	web.NoteProblem(r, web.NewProblem(web.CodeInternal, "", nil))
	web.NoteInterrupted(r, web.ByClient)
	web.NoteSession(r, named("s-1"))
	web.NoteRoute(r, "/")
}

// TestAnswerThatCannotBeEncoded: the log has the reason, and the answer not.
func TestAnswerThatCannotBeEncoded(t *testing.T) {
	var log testkit.Log
	serve(web.NewSite(siteConfig(t, &log)).Instrument(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.WriteJSON(w, r, http.StatusOK, func() {})
	})), request(t, "GET", "/", nil))
	if got := log.RecordsOf(t, "request"); len(got) != 1 || got[0]["error_code"] != "internal_error" || got[0]["level"] != "WARN" {
		t.Errorf("logged %v", got)
	}
}

// TestCaller: what the log and the audit trail know of a client, within a request and outside.
func TestCaller(t *testing.T) {
	cfg := siteConfig(t, t.Output())
	cfg.Tracer = tracing.New(tracing.Config{Provider: sdktrace.NewTracerProvider(), Propagator: propagation.TraceContext{}, PublicURL: cfg.PublicURL})
	site := web.NewSite(cfg)
	r := request(t, "GET", "/", http.Header{"User-Agent": {"agent"}})
	r.RemoteAddr = "203.0.113.9:1234"
	if got := web.CallerIn(r.Context()); got != (web.Caller{}) {
		t.Errorf("outside: %+v", got)
	}
	outside := site.CallerOf(r)
	if diff := cmp.Diff(web.Caller{ClientIP: "203.0.113.9", UserAgent: "agent"}, outside); diff != "" {
		t.Error(diff)
	}
	if attrs := outside.Attrs(); slices.Contains(attrs, any("trace_id")) {
		t.Errorf("outside: %v", attrs)
	}
	serve(site.Instrument(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got := site.CallerOf(r)
		if got.RequestID != web.RequestID(r) || len(got.TraceID) != 32 || got.ClientIP != "203.0.113.9" || got.UserAgent != "agent" {
			t.Errorf("%+v", got)
		}
		want := []any{"request_id", got.RequestID, "client_ip", "203.0.113.9", "user_agent", "agent", "trace_id", got.TraceID}
		if diff := cmp.Diff(want, got.Attrs()); diff != "" {
			t.Error(diff)
		}
		in := web.CallerIn(r.Context())
		if in.UserAgent = "agent"; in != got {
			t.Errorf("in the context: %+v", in)
		}
	})), r)
}

// TestDeadlinesWithinARequest: the writers of the log and of two Deadlines lead to the
// connection, and a request without a body has none within them.
func TestDeadlinesWithinARequest(t *testing.T) {
	cfg := siteConfig(t, t.Output())
	site := web.NewSite(cfg)
	out := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	r := request(t, "GET", "/", nil)
	r.Body = nil
	site.Instrument(site.Deadlines(site.Deadlines(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil {
			t.Errorf("the body is %T", r.Body)
		}
		_, _ = w.Write([]byte("written"))
	})))).ServeHTTP(out, r)
	if out.Body.String() != "written" || out.at != noon.Add(time.Minute) {
		t.Errorf("%q, the deadline is %s", out.Body, out.at)
	}
}

// deadlined is a connection that notes its deadline.
type deadlined struct {
	*httptest.ResponseRecorder

	at time.Time
}

func (d *deadlined) SetWriteDeadline(at time.Time) error {
	d.at = at
	return nil
}

// TestBareProblems: gateways and load balancers get the code in a header, and no body.
func TestBareProblems(t *testing.T) {
	for code, want := range map[web.Code]int{
		web.CodeNotAuthenticated: 401, web.CodeInsufficientScope: 403, web.CodeProviderUnavailable: 503,
		web.CodeUserChanged: 403, // nginx takes 401 and 403 only for a refusal
	} {
		var log testkit.Log
		rec := serve(web.NewSite(siteConfig(t, &log)).Instrument(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "before=1")
			w.Header().Set("Cache-Control", "public")
			web.WriteBare(w, r, web.NewProblem(code, "detail", errors.New("cause")).WithHeader("Retry-After", "7").WithHeader("Set-Cookie", "a=1"))
		})), request(t, "GET", "/", nil))
		h := rec.Header()
		if rec.Code != want || rec.Body.Len() != 0 || h.Get("X-Auth-Error") != string(code) || h.Get("Cache-Control") != "no-store" ||
			h.Get("Content-Length") != "0" || h.Get("Retry-After") != "7" || !slices.Equal(h.Values("Set-Cookie"), []string{"before=1", "a=1"}) {
			t.Errorf("%s: %d %v %s", code, rec.Code, h, rec.Body)
		}
		if got := log.RecordsOf(t, "request"); len(got) != 1 || got[0]["error_code"] != string(code) {
			t.Errorf("%s: logged %v", code, got)
		}
	}
}

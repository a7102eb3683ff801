package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/tracing"
	"cognito-token-handler/tokenhandler/web"
)

// TestInstrumentSpans checks that spans have the status of the response, and an error only
// if the client did not cause it.
func TestInstrumentSpans(t *testing.T) {
	for name, c := range map[string]struct {
		handler func(*web.Site) http.HandlerFunc
		left    bool // the client has closed the connection
		want    []string
	}{
		"good": {plainly(func(_ http.ResponseWriter, r *http.Request) { web.NoteRoute(r, "/auth/session") }), false, []string{"GET /auth/session", "200", "", "Unset"}},
		"the client's fault": {func(s *web.Site) http.HandlerFunc {
			return s.NotFound().ServeHTTP
		}, false, []string{"GET", "404", "", "Unset"}},
		"a problem of ours": {func(s *web.Site) http.HandlerFunc {
			return s.Handle(func(http.ResponseWriter, *http.Request) error {
				return web.NewProblem(web.CodeProviderUnavailable, "planted", nil)
			}).ServeHTTP
		}, false, []string{"GET", "503", "provider_unavailable", "Error"}},
		"an upstream's 500":   {plainly(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }), false, []string{"GET", "500", "500", "Error"}},
		"panic":               {plainly(func(http.ResponseWriter, *http.Request) { panic("planted") }), false, []string{"GET", "500", "internal_error", "Error"}},
		"panic within":        {plainly(panicWithin), false, []string{"GET", "200", "aborted", "Error"}},
		"abort":               {plainly(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), false, []string{"GET", "", "aborted", "Error"}},
		"the client has left": {plainly(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), true, []string{"GET", "", "", "Unset"}},
	} {
		t.Run(name, func(t *testing.T) {
			exported := tracetest.NewInMemoryExporter()
			var log testkit.Log
			cfg := siteConfig(t, &log)
			cfg.Tracer = tracing.New(tracing.Config{
				Provider:   sdktrace.NewTracerProvider(sdktrace.WithSyncer(exported)),
				Propagator: propagation.TraceContext{}, PublicURL: cfg.PublicURL,
			})
			site := web.NewSite(cfg)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			if c.left {
				leave()
			}
			rec := httptest.NewRecorder()
			func() {
				defer func() { _ = recover() }()
				site.Instrument(c.handler(site)).ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/x", http.NoBody))
			}()
			spans := exported.GetSpans()
			if len(spans) != 1 {
				t.Fatalf("%d spans", len(spans))
			}
			attributes := map[string]string{}
			for _, a := range spans[0].Attributes {
				attributes[string(a.Key)] = a.Value.String()
			}
			got := []string{spans[0].Name, attributes["http.response.status_code"], attributes["error.type"], spans[0].Status.Code.String()}
			if diff := cmp.Diff(c.want, got); diff != "" || spans[0].Status.Description != "" {
				t.Errorf("%s %s", diff, spans[0].Status.Description)
			}
			records := log.Records(t)
			record := records[len(records)-1]
			if record["trace_id"] != spans[0].SpanContext.TraceID().String() || record["request_id"] != attributes["request_id"] || attributes["request_id"] == "" {
				t.Errorf("logged %v, exported %v", record, attributes)
			}
		})
	}
}

func plainly(h http.HandlerFunc) func(*web.Site) http.HandlerFunc {
	return func(*web.Site) http.HandlerFunc { return h }
}

package admin_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/admin"
	"cognito-token-handler/tokenhandler/limit"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/web"
)

// TestGuessesAreLimited: after some wrong tokens a client gets 429, also with the right one,
// until time has passed. Requests without a token and with the right one never count.
func TestGuessesAreLimited(t *testing.T) {
	at := now()
	clock := func() time.Time { return at }
	h := admin.New(admin.Config{
		Site:            web.NewSite(web.Config{PublicURL: &url.URL{Scheme: "http", Host: "127.0.0.1:9090"}, Log: slog.New(slog.DiscardHandler), Now: clock}),
		Tokens:          map[string]secret.String{"anna": secret.New(token)},
		SessionLifetime: time.Hour, Now: clock, Log: slog.New(slog.DiscardHandler),
		Entries: func() []replicas.Revocation { return nil },
		Revoke:  func(context.Context, replicas.Revocation) error { return nil },
		WrongTokens: limit.New(limit.Config{Name: web.LimitAdminToken, Count: 3, Per: 3 * time.Minute, Now: clock, Client: func(r *http.Request) netip.Prefix {
			return netip.MustParsePrefix(r.Header.Get("Test-Client"))
		}}),
	})
	want := func(status int, client string, authorization ...string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/admin/revocations", http.NoBody)
		r.Header = http.Header{"Authorization": authorization, "Test-Client": {client}}
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); rec.Code != status || (rec.Header().Get("Retry-After") != "") != (status == http.StatusTooManyRequests) {
			t.Errorf("%q: %d, want %d", authorization, rec.Code, status)
		}
	}
	const mine, other = "192.0.2.1/32", "192.0.2.2/32"
	for range 5 {
		want(http.StatusUnauthorized, mine)
		want(http.StatusOK, mine, bearer)
	}
	want(http.StatusUnauthorized, mine, "Bearer wrong")
	want(http.StatusUnauthorized, mine, "Basic "+token)
	want(http.StatusUnauthorized, mine, bearer, bearer)
	want(http.StatusTooManyRequests, mine, "Bearer wrong")
	want(http.StatusTooManyRequests, mine, bearer)
	want(http.StatusOK, other, bearer)
	at = at.Add(time.Minute)
	want(http.StatusOK, mine, bearer)
	want(http.StatusUnauthorized, mine, "Bearer wrong")
	want(http.StatusTooManyRequests, mine, bearer)
}

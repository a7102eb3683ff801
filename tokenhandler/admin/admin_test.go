package admin_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/admin"
	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/web"
)

const token = "the operators' own token, long enough"

func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC) }

type fixture struct {
	*admin.Handler

	list *memory.List
	fail error
	// outdated means that entries of other replicas may be missing.
	outdated bool
	log      strings.Builder
	// audit is the trail, complete after close.
	audit strings.Builder
	close func()
}

func newFixture(token string) *fixture {
	f := &fixture{list: memory.New(now)}
	log := slog.New(slog.NewTextHandler(&f.log, nil))
	trail := audit.New(audit.Config{Output: &f.audit, Now: now, Log: log})
	f.close = func() { trail.Close(context.Background()) } //nolint:forbidigo // the test is over
	f.Handler = admin.New(admin.Config{
		Audit: trail, Site: web.NewSite(web.Config{PublicURL: &url.URL{Scheme: "http", Host: "127.0.0.1:9090"}, Log: log, Now: now}),
		Tokens: map[string]secret.String{"anna": secret.New(token)}, Entries: f.list.Entries, SessionLifetime: 12 * time.Hour, Now: now, Log: log,
		Revoke: func(_ context.Context, e replicas.Revocation) error {
			if f.fail != nil {
				return f.fail
			}
			_, err := f.list.Add(e)
			return err
		},
		Current: func() bool { return !f.outdated },
		Lift: func(ctx context.Context, kind replicas.Kind, name string) (bool, error) {
			found, err := f.list.Lift(ctx, kind, name, func(_ context.Context, e replicas.Revocation) error {
				_, err := f.list.Add(e)
				return err
			})
			return found, cmp.Or(err, f.fail)
		},
	})
	return f
}

func (f *fixture) do(t *testing.T, method, path, body string, authorization ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header["Authorization"] = authorization
	rec := httptest.NewRecorder()
	f.ServeHTTP(rec, r)
	return rec
}

const bearer = "Bearer " + token

func TestRevoke(t *testing.T) {
	f := newFixture(token)
	begun := now().Add(-time.Minute)
	one := session.Name{1, 2, 3, 4, 5, 6, 7, 8}
	for body, want := range map[string]string{
		`{"sub":"user-1"}`:                  `{"sub":"user-1","begun_before":"2026-01-02T03:04:05.678Z","by":"operator","until":"2026-01-02T15:04:05Z"}`,
		`{"session_id":"0102030405060708"}`: `{"session_id":"0102030405060708","by":"operator","until":"2026-01-02T15:04:05Z"}`,
		`{"session_id":"0A0B0C0D0E0F0A0B"}`: `{"session_id":"0a0b0c0d0e0f0a0b","by":"operator","until":"2026-01-02T15:04:05Z"}`,
	} {
		rec := f.do(t, http.MethodPost, "/admin/revocations", body, bearer)
		if rec.Code != http.StatusAccepted || strings.TrimSpace(rec.Body.String()) != want {
			t.Errorf("%s: %d %s, want %s", body, rec.Code, rec.Body, want)
		}
	}
	if !f.list.Denied(session.Name{0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0xa, 0xb}, "user-2", "", begun) {
		t.Error("not revoked")
	}
	if f.list.Denied(session.Name{}, "user-2", "", begun) || f.list.Denied(session.Name{}, "user-1", "", now()) {
		t.Error("revoked too much")
	}
	if _, err := f.list.Add(replicas.Revocation{Kind: replicas.KindProviderSession, Name: "s-1", Before: now(), Until: now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	var listed struct {
		Revocations []map[string]string `json:"revocations"`
	}
	rec := f.do(t, http.MethodGet, "/admin/revocations", "", bearer)
	if err := json.Unmarshal(rec.Body.Bytes(), &listed); err != nil || rec.Code != http.StatusOK || len(listed.Revocations) != 5 {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	if !f.list.Denied(one, "user-2", "", begun) || !f.list.Denied(session.Name{1}, "user-1", "", begun) {
		t.Error("not revoked")
	}
	if sid := listed.Revocations[3]; sid["sid"] != "s-1" || sid["until"] != "2026-01-02T04:04:05Z" {
		t.Errorf("listed %v", listed.Revocations)
	}
	if !strings.Contains(f.log.String(), "name=user-1") {
		t.Errorf("the log has no trace of it: %s", f.log.String())
	}
}

// TestRevocationsAreRecorded: the audit trail has who revoked what and why, and who tried
// without a token.
func TestRevocationsAreRecorded(t *testing.T) {
	f := newFixture(token)
	f.ReplaceToken("ben", secret.New("another token, also long enough"))
	for body, want := range map[string]int{
		`{"sub":"user-1","reason":"lost laptop"}`:                       http.StatusAccepted,
		`{"sub":"user-1","reason":"` + strings.Repeat("x", 1025) + `"}`: http.StatusBadRequest,
	} {
		if rec := f.do(t, http.MethodPost, "/admin/revocations", body, "Bearer another token, also long enough"); rec.Code != want {
			t.Errorf("%s: %d %s", body, rec.Code, rec.Body)
		}
	}
	f.do(t, http.MethodPost, "/admin/revocations", `{"sub":"user-1"}`, "Bearer made-up")
	f.close()
	want := `{"type":"audit","time":"2026-01-02T03:04:05.678Z","schema":1,"outcome":"success","replica":"","event":"revoked","sub":"user-1","client_ip":"192.0.2.1","by":"operator:ben","target":"sub:user-1","reason":"lost laptop"}
{"type":"audit","time":"2026-01-02T03:04:05.678Z","schema":1,"outcome":"failure","replica":"","event":"admin_denied","cause":"not_authenticated","client_ip":"192.0.2.1","target":"/admin/revocations"}
`
	if f.audit.String() != want {
		t.Errorf("recorded %s", f.audit.String())
	}
}

// TestTakenBack: what an operator revoked by mistake is taken back, recorded with who did it and why. Sessions that were refused
// meanwhile stay ended, and so do those of a logout.
func TestTakenBack(t *testing.T) {
	f := newFixture(token)
	begun := now().Add(-time.Minute)
	seen, unseen, loggedOut := session.Name{1}, session.Name{2}, session.Name{3}
	f.list.Deny(loggedOut, now().Add(time.Hour))
	f.do(t, http.MethodPost, "/admin/revocations", `{"sub":"user-1"}`, bearer)
	if !f.list.Denied(seen, "user-1", "", begun) {
		t.Error("not revoked")
	}
	for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
		if rec := f.do(t, http.MethodDelete, "/admin/revocations", `{"sub":"user-1","reason":"wrong user"}`, bearer); rec.Code != want || (rec.Body.Len() == 0) != (want == http.StatusNoContent) {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	if f.list.Denied(unseen, "user-1", "", begun) || !f.list.Denied(seen, "user-1", "", begun) || !f.list.Denied(loggedOut, "user-1", "", begun) {
		t.Error("the wrong sessions are alive")
	}
	if rec := f.do(t, http.MethodDelete, "/admin/revocations", `{"session_id":"`+loggedOut.String()+`"}`, bearer); rec.Code != http.StatusNotFound {
		t.Errorf("a logout was taken back: %d", rec.Code)
	}
	f.close()
	want := `"outcome":"success","replica":"","event":"revocation_lifted","sub":"user-1","client_ip":"192.0.2.1","by":"operator:anna","target":"sub:user-1","reason":"wrong user"}`
	if !strings.Contains(f.audit.String(), want) || strings.Count(f.audit.String(), `"outcome":"failure"`) != 2 {
		t.Errorf("recorded %s", f.audit.String())
	}
	if !strings.Contains(f.log.String(), "revocation taken back by an operator") {
		t.Error("not logged")
	}
}

// TestLiftWithoutTheStore: while entries of other replicas may be missing, nobody is told that
// nothing is in force. What is known is taken back all the same.
func TestLiftWithoutTheStore(t *testing.T) {
	f := newFixture(token)
	f.do(t, http.MethodPost, "/admin/revocations", `{"sub":"known"}`, bearer)
	f.outdated = true
	if rec := f.do(t, http.MethodDelete, "/admin/revocations", `{"sub":"known"}`, bearer); rec.Code != http.StatusNoContent {
		t.Errorf("a known revocation: %d %s", rec.Code, rec.Body)
	}
	rec := f.do(t, http.MethodDelete, "/admin/revocations", `{"sub":"unknown"}`, bearer)
	if rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), `"code":"store_unavailable"`) || rec.Header().Get("Retry-After") == "" {
		t.Errorf("an unknown one: %d %s", rec.Code, rec.Body)
	}
	f.outdated = false
	if rec := f.do(t, http.MethodDelete, "/admin/revocations", `{"sub":"unknown"}`, bearer); rec.Code != http.StatusNotFound {
		t.Errorf("when the list is complete: %d %s", rec.Code, rec.Body)
	}
}

// reloading is a body during whose reading the operator's token is replaced.
type reloading struct {
	*strings.Reader

	replace func()
}

func (r reloading) Read(p []byte) (int, error) {
	r.replace()
	return r.Reader.Read(p)
}

// TestReloadDuringARevocation: the record names the operator whose token was valid when
// the request came.
func TestReloadDuringARevocation(t *testing.T) {
	f := newFixture(token)
	body := reloading{strings.NewReader(`{"sub":"user-1"}`), func() { f.ReplaceToken("anna", secret.New("another token, also long enough")) }}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/admin/revocations", body)
	r.Header.Set("Authorization", bearer)
	rec := httptest.NewRecorder()
	f.ServeHTTP(rec, r)
	f.close()
	if rec.Code != http.StatusAccepted || !strings.Contains(f.audit.String(), `"by":"operator:anna"`) {
		t.Errorf("%d, recorded %s", rec.Code, f.audit.String())
	}
}

func TestNothingRevokedIsAnEmptyList(t *testing.T) {
	rec := newFixture(token).do(t, http.MethodGet, "/admin/revocations", "", bearer)
	if strings.TrimSpace(rec.Body.String()) != `{"revocations":[]}` {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestOnlyOperators checks that empty and repeated tokens are refused.
func TestOnlyOperators(t *testing.T) {
	for name, c := range map[string]struct {
		token string
		sent  []string
		want  int
	}{
		"right":             {token, []string{bearer}, http.StatusOK},
		"in other case":     {token, []string{"bearer " + token}, http.StatusOK},
		"none":              {token, nil, http.StatusUnauthorized},
		"empty":             {token, []string{""}, http.StatusUnauthorized},
		"no token":          {token, []string{"Bearer "}, http.StatusUnauthorized},
		"wrong":             {token, []string{bearer + "x"}, http.StatusUnauthorized},
		"shorter":           {token, []string{bearer[:len(bearer)-1]}, http.StatusUnauthorized},
		"another scheme":    {token, []string{"Basic " + token}, http.StatusUnauthorized},
		"bare":              {token, []string{token}, http.StatusUnauthorized},
		"twice":             {token, []string{bearer, bearer}, http.StatusUnauthorized},
		"both sides empty":  {"", []string{"Bearer "}, http.StatusUnauthorized},
		"none, none wanted": {"", nil, http.StatusUnauthorized},
	} {
		for _, path := range []string{"/admin/revocations", "/admin/anything"} {
			rec := newFixture(c.token).do(t, http.MethodGet, path, "", c.sent...)
			want := c.want
			if want == http.StatusOK && path == "/admin/anything" {
				want = http.StatusNotFound
			}
			if rec.Code != want || want == http.StatusUnauthorized && rec.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s, %s: %d, want %d, %v", name, path, rec.Code, want, rec.Header())
			}
		}
	}
}

func TestFaultyRequests(t *testing.T) {
	for name, c := range map[string]struct {
		method, body string
		status       int
		code         string
	}{
		"empty":             {http.MethodPost, "", 400, "invalid_request"},
		"no JSON":           {http.MethodPost, "sub=x", 400, "invalid_request"},
		"no fields":         {http.MethodPost, "{}", 400, "invalid_request"},
		"empty sub":         {http.MethodPost, `{"sub":""}`, 400, "invalid_request"},
		"both":              {http.MethodPost, `{"sub":"a","session_id":"0102030405060708"}`, 400, "invalid_request"},
		"unknown field":     {http.MethodPost, `{"sub":"a","all":true}`, 400, "invalid_request"},
		"more behind":       {http.MethodPost, `{"sub":"a"}{"sub":"b"}`, 400, "invalid_request"},
		"a number":          {http.MethodPost, `{"sub":1}`, 400, "invalid_request"},
		"session, short":    {http.MethodPost, `{"session_id":"0102"}`, 400, "invalid_request"},
		"session, no digit": {http.MethodPost, `{"session_id":"010203040506070x"}`, 400, "invalid_request"},
		"sub, long":         {http.MethodPost, `{"sub":"` + strings.Repeat("a", 256) + `"}`, 400, "invalid_request"},
		"huge":              {http.MethodPost, `{"sub":"` + strings.Repeat("a", 5000) + `"}`, 413, "too_large"},
		"PUT":               {http.MethodPut, "", 405, "method_not_allowed"},
		"DELETE, empty":     {http.MethodDelete, "", 400, "invalid_request"},
		"DELETE, both":      {http.MethodDelete, `{"sub":"a","session_id":"0102030405060708"}`, 400, "invalid_request"},
		"DELETE, nothing":   {http.MethodDelete, `{"sub":"a"}`, 404, "not_found"},
	} {
		f := newFixture(token)
		rec := f.do(t, c.method, "/admin/revocations", c.body, bearer)
		if rec.Code != c.status || !strings.Contains(rec.Body.String(), `"code":"`+c.code+`"`) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
		if f.list.Len() != 0 {
			t.Errorf("%s: something was revoked", name)
		}
	}
	f := newFixture(token)
	f.fail = errors.New("inside")
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		if rec := f.do(t, method, "/admin/revocations", `{"sub":"a"}`, bearer); rec.Code != 500 || strings.Contains(rec.Body.String(), "inside") {
			t.Errorf("%s: %d %s", method, rec.Code, rec.Body)
		}
	}
}

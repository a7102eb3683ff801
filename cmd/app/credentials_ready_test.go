package app_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

const deniedAnswer = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code>` +
	`<Message>planted-remote-text</Message></Error><RequestId>r</RequestId></ErrorResponse>`

// TestMissingCredentialsAreSeenAtStart: a new process without credentials for its
// bucket is not ready for a minute, so that a deployment stops. After that /readyz only
// names the lack: everything but uploads works.
func TestMissingCredentialsAreSeenAtStart(t *testing.T) {
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(deniedAnswer))
	}))
	t.Cleanup(sts.Close)
	assumeRole(t, sts.URL)
	clock := testkit.NewClock(time.Now())
	s := startWith(t, cognitotest.Options{Clock: clock.Now}, service{clock: clock.Now})
	const state = `"storage":"AWS refuses to issue credentials"`
	testkit.Eventually(t, "the lack is named", func() bool {
		status, body := s.admin("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, state) && strings.Contains(body, `"provider":"ok"`)
	})
	if _, metrics := s.admin("/metrics"); !strings.Contains(metrics, "tokenhandler_storage_credentials_up 0\n") {
		t.Error("the metric says that there are credentials")
	}
	s.log.Wait(t, "no AWS credentials for the bucket: uploads fail", 1)
	clock.Advance(time.Minute)
	if status, body := s.admin("/readyz"); status != http.StatusOK || !strings.Contains(body, state) {
		t.Errorf("after a minute: %d %s", status, body)
	}
	if s.log.Contains("planted-remote-text") {
		t.Error("the log quotes what AWS answered")
	}
}

func TestCredentialsAreReady(t *testing.T) {
	s := start(t, cognitotest.Options{})
	s.ready()
	if _, body := s.admin("/readyz"); !strings.Contains(body, `"storage":"ok"`) {
		t.Errorf("got %s", body)
	}
	if _, metrics := s.admin("/metrics"); !strings.Contains(metrics, "tokenhandler_storage_credentials_up 1\n") {
		t.Error("the metric says that there are none")
	}
}

// TestUnreachableProviderDelaysReadiness for a minute, and its cause is named.
func TestUnreachableProviderDelaysReadiness(t *testing.T) {
	cfg, clock := parsed(t), testkit.NewClock(time.Now())
	cfg.Provider.Issuer, cfg.Storage.Bucket = "http://localhost:1/pool", ""
	a, err := app.NewAt(t.Context(), cfg, discard(), clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	ready := func() *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		app.Admin(a).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return rec
	}
	app.TryProvider(t.Context(), a)
	if rec := ready(); rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "the provider was not reached (refused)") {
		t.Errorf("at start: %d %s", rec.Code, rec.Body)
	}
	clock.Advance(time.Minute)
	if rec := ready(); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "(refused)") {
		t.Errorf("after a minute: %d %s", rec.Code, rec.Body)
	}
}

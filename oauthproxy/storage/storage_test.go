package storage_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/web"
)

const (
	accessKey = "AKIAPLANTED"
	secretKey = "planted-secret-access-key"
	subject   = "0f9e-sub"
	// otherOrigin is an origin from which the app may be called.
	otherOrigin = "https://other.example.com"
)

// noon has a fraction of a second, as clocks do. Signature Version 4 counts in seconds.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 987_000_000, time.UTC)

// authority is an Authorizer that knows one user, or refuses all requests.
type authority struct {
	subject string
	refusal error
}

func (a authority) Authorize(*http.Request) (storage.Grant, error) {
	if a.refusal != nil {
		return nil, a.refusal
	}
	return grant(a.subject), nil
}

type grant string

func (g grant) Subject() string    { return string(g) }
func (grant) SessionID() string    { return "0123456789abcdef" }
func (grant) Commit(h http.Header) { h.Add("Set-Cookie", "session=renewed") }

func (grant) IDToken() secret.String                    { return secret.String{} }
func (grant) Renew(context.Context) error               { return nil }
func (grant) Watch(ctx context.Context) context.Context { return ctx }

func newSite(log io.Writer) *web.Site {
	return web.NewSite(web.Config{
		PublicURL:      &url.URL{Scheme: "https", Host: "app.example.com"},
		AllowedOrigins: []string{otherOrigin},
		LoginURL:       "/auth/login",
		Log:            slog.New(slog.NewJSONHandler(log, nil)),
		Now:            func() time.Time { return noon },
	})
}

func goodConfig(tb testing.TB) storage.Config {
	tb.Helper()
	return storage.Config{
		Path:        "/storage",
		Bucket:      "files",
		Region:      "eu-central-1",
		Endpoint:    "https://s3.example.com",
		PathStyle:   true,
		Prefix:      "users/{sub}/",
		MaxSize:     1 << 20,
		Expires:     5 * time.Minute,
		Credentials: service(credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")),
		Claims:      memory.NewMaps(time.Now, 100_000),
		Sealer:      newSealer(tb),
		Now:         func() time.Time { return noon },
		Log:         testkit.Logger(tb),
		Site:        newSite(tb.Output()),
	}
}

func service(provider aws.CredentialsProvider) storage.Credentials {
	return storage.ServiceCredentials{Provider: provider}
}

// newSealer returns a sealer with a key of its own, as the service's are.
func newSealer(tb testing.TB) storage.Sealer {
	tb.Helper()
	key := make([]byte, seal.KeySize)
	_, _ = rand.Read(key)
	keys, err := seal.NewKeyring([][]byte{key})
	if err != nil {
		tb.Fatal(err)
	}
	return seal.Codec{Keys: keys, MaxLength: 8192}
}

func mustNew(tb testing.TB, cfg storage.Config, auth storage.Authorizer) *storage.Handler {
	tb.Helper()
	h, err := storage.New(cfg, auth)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// send sends a request to h as the app would with fetch.
func send(tb testing.TB, h http.Handler, method, path, contentType, body string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// answered is the JSON form of the response, declared again so that a change of the
// handler's own type fails a test.
type answered struct {
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Key       string            `json:"key"`
	ExpiresAt string            `json:"expires_at"`
}

func mustUpload(tb testing.TB, h http.Handler, body string) (answered, *url.URL) {
	tb.Helper()
	rec := send(tb, h, http.MethodPost, "/storage/uploads", "application/json", body)
	if rec.Code != http.StatusCreated {
		tb.Fatalf("answered %d %s", rec.Code, rec.Body)
	}
	var a answered
	dec := json.NewDecoder(rec.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil {
		tb.Fatal(err)
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		tb.Fatal(err)
	}
	return a, u
}

func jsonOf(tb testing.TB, value any) string {
	tb.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

var errPlanted = errors.New("operation error STS: planted provider text")

func failingCredentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errPlanted
}

func expiring(at time.Time) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{
			AccessKeyID: accessKey, SecretAccessKey: secretKey, SessionToken: "planted-session-token",
			CanExpire: true, Expires: at,
		}, nil
	})
}

func emptyCredentials(context.Context) (aws.Credentials, error) { return aws.Credentials{}, nil }

package usercredentials_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/oauthproxy/storage/usercredentials"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/secret"
)

// user is a storage.User whose session a test ends. The zero value has no ID token.
type user struct {
	subject string
	token   string
	renew   func() (token string, err error)
	ended   context.Context // the life of the session
}

func (u *user) Subject() string        { return u.subject }
func (*user) SessionID() string        { return "0123456789abcdef" }
func (u *user) IDToken() secret.String { return secret.New(u.token) }

func (u *user) Renew(context.Context) (err error) {
	if u.renew != nil {
		u.token, err = u.renew()
	}
	return err
}

func (u *user) Watch(ctx context.Context) context.Context {
	if u.ended == nil {
		return ctx
	}
	ctx, end := context.WithCancel(ctx)
	context.AfterFunc(u.ended, end)
	return ctx
}

var _ storage.User = (*user)(nil)

// issuer is a source that counts.
type issuer struct {
	mu    sync.Mutex
	calls int
	last  usercredentials.Holder
	// fail may be nil; it returns the error of a call.
	fail func(usercredentials.Holder) error
	// wait may be nil; it is called in each call.
	wait func(ctx context.Context) error
	life time.Duration // default 1h
	now  func() time.Time
}

func (i *issuer) issue(ctx context.Context, who usercredentials.Holder) (usercredentials.Issued, error) {
	i.mu.Lock()
	i.calls++
	i.last = who
	fail, life := i.fail, max(i.life, time.Minute)
	if i.life == 0 {
		life = time.Hour
	}
	i.mu.Unlock()
	if i.wait != nil {
		if err := i.wait(ctx); err != nil {
			return usercredentials.Issued{}, err
		}
	}
	if fail != nil {
		if err := fail(who); err != nil {
			return usercredentials.Issued{}, err
		}
	}
	return usercredentials.Issued{Identity: "id-of-" + who.Subject, Credentials: aws.Credentials{
		AccessKeyID: "ASIA-" + who.Subject, SecretAccessKey: "s", SessionToken: "t", CanExpire: true, Expires: i.now().Add(life),
	}}, nil
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.calls
}

func newCache(t *testing.T, source usercredentials.Source, now func() time.Time, edits ...func(*usercredentials.Config)) *usercredentials.Cache {
	t.Helper()
	cfg := usercredentials.Config{
		Kind: usercredentials.KindWebIdentity, Source: source, Ahead: 6 * time.Minute, Now: now, Log: testkit.Logger(t),
	}
	for _, edit := range edits {
		edit(&cfg)
	}
	return usercredentials.New(t.Context(), cfg)
}

func mustGet(t *testing.T, c *usercredentials.Cache, u storage.User) aws.Credentials {
	t.Helper()
	got, err := c.For(t.Context(), u)
	if err != nil || got.AccessKeyID != "ASIA-"+u.Subject() {
		t.Fatalf("got %q, %v", got.AccessKeyID, err)
	}
	return got
}

// remote is an AWS service in this process. It remembers the requests.
type remote struct {
	status  int
	answers []string // one for each request, the last one for all others
	header  http.Header

	mu     sync.Mutex
	bodies []string
	last   *http.Request
}

// Do implements the SDK's interface of an HTTP client.
func (r *remote) Do(request *http.Request) (*http.Response, error) {
	body := ""
	if request.Body != nil {
		text, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = request
	r.bodies = append(r.bodies, body)
	if r.status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	rec := httptest.NewRecorder()
	maps.Copy(rec.Header(), r.header)
	rec.WriteHeader(r.status)
	_, _ = rec.WriteString(r.answers[min(len(r.bodies), len(r.answers))-1])
	response := rec.Result()
	response.Request = request
	return response, nil
}

// config returns the configuration of a client of the service.
func (r *remote) config() aws.Config {
	return aws.Config{
		Region: "eu-central-1", HTTPClient: r,
		Credentials: credentials.NewStaticCredentialsProvider("AKIASERVICE", "secret-of-the-service", ""),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = 1 })
		},
	}
}

//go:build e2e

package s3local_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cognito-token-handler/test/s3local"
)

const origin = "http://localhost:8080"

func start(t *testing.T) *s3local.Server {
	t.Helper()
	begun := time.Now()
	server, err := s3local.Start(t.Context(), s3local.Options{AppOrigins: []string{origin}, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the server was up after %s", time.Since(begun))
	t.Cleanup(server.Close)
	return server
}

const content = `{"note":"hello"}`

func put(key string) *s3.PutObjectInput {
	return &s3.PutObjectInput{
		Key: &key, ContentType: aws.String("application/json"), ContentLength: aws.Int64(int64(len(content))),
	}
}

// presign returns a PUT request with a presigned URL, which is valid for a minute, and all the headers that were signed.
func presign(t *testing.T, server *s3local.Server, input *s3.PutObjectInput) *http.Request {
	t.Helper()
	input.Bucket = &server.Bucket
	signed, err := s3.NewPresignClient(server.Client()).PresignPutObject(t.Context(), input, s3.WithPresignExpires(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, signed.URL, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range signed.SignedHeader {
		if name != "Host" {
			request.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	request.Header.Set("Origin", origin)
	return request
}

// answer is a complete response of the server.
type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, request *http.Request) answer {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(b)}
}

func replaceBody(request *http.Request, body string) {
	request.Body = io.NopCloser(strings.NewReader(body))
	request.ContentLength = int64(len(body))
	request.Header.Del("Content-Length")
}

func TestPreflight(t *testing.T) {
	server := start(t)
	for _, test := range []struct {
		origin, method string
		status         int
	}{
		{origin, http.MethodPut, http.StatusOK},
		{origin, http.MethodGet, http.StatusOK},
		{origin, http.MethodDelete, http.StatusForbidden},
		{"https://evil.example", http.MethodPut, http.StatusForbidden},
	} {
		request := presign(t, server, put("users/a/n.json"))
		request.Method, request.Body, request.ContentLength = http.MethodOptions, nil, 0
		request.Header = http.Header{
			"Origin": {test.origin}, "Access-Control-Request-Method": {test.method},
			"Access-Control-Request-Headers": {"content-type,if-none-match,x-amz-checksum-sha256"},
		}
		got := send(t, request)
		if got.status != test.status {
			t.Errorf("%s from %s = %d %s", test.method, test.origin, got.status, got.body)
		}
		allowed := got.header.Get("Access-Control-Allow-Origin")
		if (allowed == test.origin) != (test.status == http.StatusOK) {
			t.Errorf("%s from %s: Access-Control-Allow-Origin = %q", test.method, test.origin, allowed)
		}
		if test.status == http.StatusOK && !strings.Contains(
			strings.ToLower(got.header.Get("Access-Control-Allow-Headers")), "if-none-match") {
			t.Errorf("Access-Control-Allow-Headers = %q", got.header.Get("Access-Control-Allow-Headers"))
		}
	}
}

func TestPresignedPut(t *testing.T) {
	server := start(t)
	const key = "users/a/notes/ä b.json"
	got := send(t, presign(t, server, put(key)))
	if got.status != http.StatusOK {
		t.Fatalf("PUT = %d %s", got.status, got.body)
	}
	if got.header.Get("Access-Control-Allow-Origin") != origin ||
		!strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "ETag") {
		t.Errorf("CORS headers of the answer: %v", got.header)
	}
	object, err := server.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &server.Bucket, Key: aws.String(key)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = object.Body.Close() }()
	stored, err := io.ReadAll(object.Body)
	if err != nil || string(stored) != content || aws.ToString(object.ContentType) != "application/json" {
		t.Errorf("stored %q as %s, %v", stored, aws.ToString(object.ContentType), err)
	}
}

func TestChangedPresignedPutIsRefused(t *testing.T) {
	server := start(t)
	sum := sha256.Sum256([]byte(content))
	withChecksum := put("broken")
	withChecksum.ChecksumSHA256 = aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	tests := []struct {
		name   string
		input  *s3.PutObjectInput
		edit   func(*http.Request)
		status int
	}{
		{"longer", put("broken"), func(r *http.Request) { replaceBody(r, content+"x") }, http.StatusForbidden},
		{"shorter", put("broken"), func(r *http.Request) { replaceBody(r, content[1:]) }, http.StatusForbidden},
		{"chunked", put("broken"), func(r *http.Request) {
			r.ContentLength = -1
			r.Header.Del("Content-Length")
		}, http.StatusForbidden},
		{"other type", put("broken"), func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }, http.StatusForbidden},
		{"no type", put("broken"), func(r *http.Request) { r.Header.Del("Content-Type") }, http.StatusForbidden},
		{"other key", put("broken"), func(r *http.Request) {
			r.URL.Path = strings.Replace(r.URL.Path, "broken", "brokem", 1)
		}, http.StatusForbidden},
		{"other method", put("broken"), func(r *http.Request) { r.Method = http.MethodDelete }, http.StatusForbidden},
		{"other bytes", withChecksum, func(r *http.Request) {
			replaceBody(r, strings.ToUpper(content))
		}, http.StatusBadRequest},
		{"other expiry", put("broken"), func(r *http.Request) { setQuery(r, "X-Amz-Expires", "3600") }, http.StatusForbidden},
		{"further header", put("broken"), func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, http.StatusForbidden},
		{"no signature", put("broken"), func(r *http.Request) { r.URL.RawQuery = "" }, http.StatusForbidden},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request := presign(t, server, test.input)
			test.edit(request)
			got := send(t, request)
			if got.status != test.status {
				t.Errorf("PUT = %d %s, want %d", got.status, got.body, test.status)
			}
			wantAbsent(t, server, "broken")
		})
	}
}

func setQuery(r *http.Request, name, value string) {
	query := r.URL.Query()
	query.Set(name, value)
	r.URL.RawQuery = query.Encode()
}

func wantAbsent(t *testing.T, server *s3local.Server, key string) {
	t.Helper()
	_, err := server.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &server.Bucket, Key: &key})
	if err == nil {
		t.Errorf("%s was stored", key)
	}
}

func TestPresignedChecksum(t *testing.T) {
	server := start(t)
	sum := sha256.Sum256([]byte(content))
	input := put("sum")
	input.ChecksumSHA256 = aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	request := presign(t, server, input)
	if got := send(t, request); got.status != http.StatusOK {
		t.Errorf("PUT = %d %s", got.status, got.body)
	}
}

func TestIfNoneMatch(t *testing.T) {
	server := start(t)
	for _, want := range []int{http.StatusOK, http.StatusPreconditionFailed} {
		input := put("once")
		input.IfNoneMatch = aws.String("*")
		got := send(t, presign(t, server, input))
		if got.status != want {
			t.Errorf("PUT = %d %s, want %d", got.status, got.body, want)
		}
	}
	input := put("once")
	input.IfNoneMatch = aws.String("*")
	request := presign(t, server, input)
	request.Header.Del("If-None-Match")
	if got := send(t, request); got.status != http.StatusForbidden {
		t.Errorf("PUT without the signed condition = %d %s", got.status, got.body)
	}
}

func TestExpiry(t *testing.T) {
	server := start(t)
	input := put("late")
	tenSecondsAgo := pastSigner{v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })}
	signer := s3.NewPresignClient(server.Client(), func(o *s3.PresignOptions) { o.Presigner = tenSecondsAgo })
	input.Bucket = &server.Bucket
	signed, err := signer.PresignPutObject(t.Context(), input, s3.WithPresignExpires(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, signed.URL, bytes.NewBufferString(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	got := send(t, request)
	if got.status != http.StatusForbidden || !strings.Contains(got.body, "expired") {
		t.Errorf("PUT = %d %s, want 403 because the URL has expired", got.status, got.body)
	}
}

// pastSigner signs requests as if it were ten seconds ago.
type pastSigner struct{ s3.HTTPPresignerV4 }

func (p pastSigner) PresignHTTP(
	ctx context.Context, credentials aws.Credentials, r *http.Request, hash, service, region string, at time.Time,
	options ...func(*v4.SignerOptions),
) (string, http.Header, error) {
	return p.HTTPPresignerV4.PresignHTTP(ctx, credentials, r, hash, service, region, at.Add(-10*time.Second), options...)
}

func TestMissingTool(t *testing.T) {
	t.Setenv("TOKENHANDLER_TOOLS", t.TempDir())
	_, err := s3local.Start(t.Context(), s3local.Options{AppOrigins: []string{origin}})
	if err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("err = %v", err)
	}
}

func TestCloseFreesThePort(t *testing.T) {
	server := start(t)
	address, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	server.Close()
	select {
	case <-server.Done():
	default:
		t.Error("Done is open after Close")
	}
	dialer := net.Dialer{Timeout: time.Second}
	if connection, err := dialer.DialContext(t.Context(), "tcp", address.Host); err == nil {
		_ = connection.Close()
		t.Error("somebody listens after Close")
	} else if opError := (*net.OpError)(nil); !errors.As(err, &opError) {
		t.Error(err)
	}
}

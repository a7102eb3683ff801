package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/test/testkit"
)

const roleAnswer = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIATEST</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`

// TestHangingSTSIsAskedAgain: a call that hangs is cancelled and made again, so that
// the lookup that all uploads share ends.
func TestHangingSTSIsAskedAgain(t *testing.T) {
	var calls atomic.Int64
	release := make(chan struct{})
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			<-release
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, roleAnswer)
	}))
	t.Cleanup(sts.Close)
	t.Cleanup(func() { close(release) })
	assumeRole(t, sts.URL)
	credentials, err := app.AWSCredentials(t.Context(), "us-east-1", 2*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	got, err := credentials.Retrieve(ctx)
	if err != nil || got.AccessKeyID != "ASIATEST" || calls.Load() < 2 {
		t.Errorf("after %d calls: %q, %v", calls.Load(), got.AccessKeyID, err)
	}
}

// assumeRole makes the AWS SDK request its credentials from an STS.
func assumeRole(t *testing.T, sts string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("token-of-the-pod"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": file, "AWS_ENDPOINT_URL_STS": sts,
	} {
		t.Setenv(name, value)
	}
}

// TestTheSDKWritesNothing: the SDK would warn on standard error, between the records of the
// log, when the machine's metadata service refuses a token.
func TestTheSDKWritesNothing(t *testing.T) {
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer metadata.Close()
	for name, value := range map[string]string{
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func(before *os.File) { os.Stderr = before }(os.Stderr)
	os.Stderr = write
	credentials, err := app.AWSCredentials(t.Context(), "us-east-1", 2*time.Second, nil)
	if err == nil {
		_, err = credentials.Retrieve(t.Context())
	}
	if err == nil {
		t.Error("there are credentials")
	}
	_ = write.Close()
	if text, _ := io.ReadAll(read); len(text) > 0 {
		t.Errorf("it wrote: %s", text)
	}
}

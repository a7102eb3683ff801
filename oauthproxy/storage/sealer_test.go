package storage_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/web"
)

// strangeSealer fails, or opens everything as the same text.
type strangeSealer struct {
	opened string
	err    error
}

func (s strangeSealer) Encode(string, any) (string, error) { return "sealed", s.err }

func (s strangeSealer) Decode(_, _ string, dst any) error {
	if text, ok := dst.(*[]byte); ok {
		*text = []byte(s.opened)
	}
	return s.err
}

// TestSealerThatFails: no cursor or id is handed out that nobody can open, and what was begun
// for it is ended.
func TestSealerThatFails(t *testing.T) {
	s3 := &partedS3{}
	cfg := goodConfig(t)
	cfg.HTTPClient, cfg.Sealer = inProcess{s3}, strangeSealer{err: errors.New("planted")}
	h := mustNew(t, cfg, authority{subject: subject})
	wantCode(t, h, http.MethodPost, "/storage/multipart", minimal, http.StatusInternalServerError, "internal_error")
	if strings.Join(s3.calls, " ") != "abort" {
		t.Errorf("S3 saw %v", s3.calls)
	}
	cfg.HTTPClient = inProcess{&listingS3{answer: `<IsTruncated>true</IsTruncated><NextContinuationToken>n</NextContinuationToken>`}}
	wantCode(t, mustNew(t, cfg, authority{subject: subject}), http.MethodGet, "/storage/objects", "", http.StatusInternalServerError, "internal_error")
}

// TestSealedNonsense: what opens and is not what was sealed is refused, too, such as a key that
// leaves the folder.
func TestSealedNonsense(t *testing.T) {
	for opened, status := range map[string]int{"no JSON": http.StatusNotFound, `{"k":"../other-sub/a","s":1,"i":"u"}`: http.StatusBadRequest} {
		s3 := &partedS3{}
		cfg := goodConfig(t)
		cfg.HTTPClient, cfg.Sealer = inProcess{s3}, strangeSealer{opened: opened}
		h := mustNew(t, cfg, authority{subject: subject})
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			if rec := ask(t, h, method, "/storage/multipart/x", ""); rec.Code != status || len(s3.calls) != 0 {
				t.Errorf("%s of %s: %d, S3 saw %v", method, opened, rec.Code, s3.calls)
			}
		}
	}
}

// endedUser's session ends when credentials are asked for.
type endedUser struct{}

func (endedUser) For(context.Context, storage.User) (aws.Credentials, error) {
	return aws.Credentials{}, web.NewProblem(web.CodeSessionExpired, "the session has ended", nil)
}

// TestCredentialsThatEndTheSession: a problem of the source is the response.
func TestCredentialsThatEndTheSession(t *testing.T) {
	cfg := goodConfig(t)
	cfg.Credentials = endedUser{}
	wantCode(t, mustNew(t, cfg, authority{subject: subject}), http.MethodGet, "/storage/objects", "", http.StatusUnauthorized, "session_expired")
}

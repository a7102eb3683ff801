package app_test

import (
	"net/http"
	"regexp"
	"testing"

	"cognito-token-handler/test/cognitotest"
)

// TestDocumentedUploadWorks sends the body that the documentation of uploads shows.
func TestDocumentedUploadWorks(t *testing.T) {
	body := regexp.MustCompile("(?s)## Upload\n\n```json\n(.*?)\n```").FindStringSubmatch(read(t, "../../oauthproxy/storage/README.md"))
	if body == nil {
		t.Fatal("the documentation shows no body of an upload")
	}
	ua := start(t, cognitotest.Options{}).login()
	if r := ua.Fetch(http.MethodPost, "/storage/uploads", body[1], jsonBody); r.Status != http.StatusCreated && r.Status != http.StatusOK {
		t.Errorf("%s is answered %d %s", body[1], r.Status, r.Body)
	}
}

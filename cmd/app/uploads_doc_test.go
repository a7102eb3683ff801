package app_test

import (
	"net/http"
	"regexp"
	"testing"

	"cognito-token-handler/test/cognitotest"
)

// TestDocumentedUploadWorks sends the body that the documentation of uploads shows.
func TestDocumentedUploadWorks(t *testing.T) {
	body := regexp.MustCompile("`(\\{\"key\":.*?\\})`").FindStringSubmatch(read(t, "../../tokenhandler/README.md"))
	if body == nil {
		t.Fatal("the documentation shows no body of an upload")
	}
	ua := start(t, cognitotest.Options{}).login()
	if r := ua.Fetch(http.MethodPost, "/storage/uploads", body[1], jsonBody); r.Status != http.StatusCreated && r.Status != http.StatusOK {
		t.Errorf("%s is answered %d %s", body[1], r.Status, r.Body)
	}
}

//go:build e2e && linux

package usercredentials_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/oauthproxy/storage/usercredentials"
	"cognito-token-handler/test/s3local"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/web"
)

// grant is what a request of a user is permitted.
type grant struct{ *user }

func (grant) Commit(http.Header) {}

// Authorize implements [storage.Authorizer]: every request is the user's.
func (g grant) Authorize(*http.Request) (storage.Grant, error) { return g, nil }

// newHandler returns /storage for one user, with credentials of the cache.
func newHandler(t *testing.T, server *s3local.Server, cache *usercredentials.Cache, u *user) http.Handler {
	t.Helper()
	keys, err := seal.NewKeyring([][]byte{[]byte("0123456789abcdef0123456789ABCDEF")})
	if err != nil {
		t.Fatal(err)
	}
	h, err := storage.New(storage.Config{
		Path: "/storage", Bucket: server.Bucket, Region: server.Region, Endpoint: server.Endpoint, PathStyle: true, Prefix: "users/{sub}/",
		MaxSize: 1 << 30, Expires: time.Minute, Quota: storage.Quota{Objects: 100}, Credentials: cache,
		Claims: memory.NewMaps(time.Now, 1000), Sealer: seal.Codec{Keys: keys, MaxLength: 8192},
		Now: time.Now, Log: testkit.Logger(t),
		Site: web.NewSite(web.Config{PublicURL: &url.URL{Scheme: "https", Host: "app.example.com"}, Log: testkit.Logger(t), Now: time.Now}),
	}, grant{u})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// wantStorage uses every kind of operation: the policy of the credentials allows what
// they need.
func wantStorage(t *testing.T, server *s3local.Server, cache *usercredentials.Cache, u *user) {
	t.Helper()
	h := newHandler(t, server, cache, u)
	ask := func(method, path, body string, status int) (answer struct {
		URL      string
		UploadID string `json:"upload_id"`
		Objects  json.RawMessage
	},
	) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, "/storage"+path, strings.NewReader(body))
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != status {
			t.Errorf("%s %s: %d %s, want %d", method, path, rec.Code, rec.Body, status)
		}
		_ = json.Unmarshal(rec.Body.Bytes(), &answer)
		return answer
	}
	upload := ask("POST", "/uploads", `{"key":"d/a","content_type":"text/plain","size":1}`, 201)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, upload.URL, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "text/plain")
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testkit.Deadline}).Do(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("the upload: %v %v", answer, err)
	}
	_ = answer.Body.Close()
	if got := ask("GET", "/objects?prefix=d/", "", 200); !strings.Contains(string(got.Objects), `"d/a"`) {
		t.Errorf("listed: %s", got.Objects)
	}
	wantStatus(t, http.MethodGet, ask("GET", "/objects/d/a?redirect=false", "", 200).URL, "", true)
	ask("HEAD", "/objects/d/a", "", 200)
	ask("HEAD", "/objects/missing", "", 404)
	ask("GET", "/objects/missing", "", 404)
	ask("POST", "/copies", `{"from":"d/a","to":"d/b"}`, 201)
	id := ask("POST", "/multipart", `{"key":"d/c","content_type":"text/plain","size":1}`, 201).UploadID
	ask("GET", "/multipart/"+id+"?key=d/c", "", 200)
	ask("DELETE", "/multipart/"+id, "", 204)
	ask("GET", "/usage", "", 200)
	ask("DELETE", "/objects/d/b", "", 204)
	ask("DELETE", "/objects/d/?recursive=true", "", 200)
}

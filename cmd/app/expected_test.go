package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

const gatewaySecret = "planted-verify-secret-value"

// expecting returns the options of a request that names the user whom its page shows.
func expecting(sub string) useragent.FetchOptions {
	return useragent.FetchOptions{Header: map[string]string{"X-Expected-Sub": sub, "Content-Type": "application/json"}}
}

// newBucket starts a bucket that counts its requests.
func newBucket(t *testing.T) (address string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(bucket.Close)
	return bucket.URL, requests
}

// TestAnotherUsersWindowDoesNothing: a window that still shows one user must not act as
// another one who has logged in since. Its requests are refused before anything is done:
// nothing is sent upstream or to the bucket, no token is refreshed, no session ended.
func TestAnotherUsersWindowDoesNothing(t *testing.T) {
	bucket, inBucket := newBucket(t)
	s := startWith(t, cognitotest.Options{}, service{environ: []string{"TH_STORAGE__ENDPOINT=" + bucket}})
	ua := s.login()
	sub, other := s.pool.User("demo").Sub, "11111111-2222-3333-4444-555555555555"
	upstream, refreshes := len(s.api.seen()), s.pool.Count(cognitotest.TokenRefresh)
	requests := []string{
		"GET /api/me", "HEAD /open/x", "POST /api/me", "GET /open/x", "POST /open/x", "DELETE /open/x",
		"GET /auth/session", "HEAD /auth/session", "POST /auth/refresh", "POST /auth/logout", "POST /auth/logout?everywhere=true",
		"POST /storage/uploads", "GET /storage/objects", "HEAD /storage/objects", "GET /storage/objects/a", "HEAD /storage/objects/a",
		"DELETE /storage/objects/a", "DELETE /storage/objects/a/?recursive=true", "POST /storage/copies", "GET /storage/usage",
		"POST /storage/multipart", "GET /storage/multipart/id?key=a", "DELETE /storage/multipart/id?key=a",
		"POST /storage/multipart/id/parts", "POST /storage/multipart/id/complete",
	}
	for _, request := range requests {
		method, target, _ := strings.Cut(request, " ")
		for _, named := range []string{other, "", strings.ToUpper(sub), sub + ",x"} {
			body := ""
			if method == http.MethodPost {
				body = "{}"
			}
			r := ua.Fetch(method, target, body, expecting(named))
			if method == http.MethodHead {
				if r.Status != http.StatusConflict {
					t.Errorf("%s as %q: %d", request, named, r.Status)
				}
				continue
			}
			wantProblem(t, r, http.StatusConflict, "user_changed")
			if len(r.Header["Set-Cookie"]) > 0 {
				t.Errorf("%s as %q sets cookies", request, named)
			}
		}
	}
	if got := len(s.api.seen()); got != upstream {
		t.Errorf("the API received %d requests", got-upstream)
	}
	if inBucket.Load() != 0 || s.pool.Count(cognitotest.TokenRefresh) != refreshes || s.pool.Count(cognitotest.Revoke) != 0 {
		t.Errorf("%d requests to the bucket, %d refreshes, %d revocations", inBucket.Load(), s.pool.Count(cognitotest.TokenRefresh)-refreshes, s.pool.Count(cognitotest.Revoke))
	}
	if r := ua.Fetch(http.MethodGet, "/api/me", "", expecting(sub)); r.Status != http.StatusOK {
		t.Errorf("the user's own window: %d %s", r.Status, r.Body)
	}
	for name := range s.api.last() {
		if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "X-Expected-Sub") {
			t.Errorf("the API received %s", name)
		}
	}
	if r := ua.Fetch(http.MethodPost, "/auth/logout", "", expecting(sub)); r.Status != http.StatusOK {
		t.Errorf("the user's own logout: %d %s", r.Status, r.Body)
	}
}

// TestExpectedUserOfASocket: a client that is no browser can name its user in the
// handshake of a WebSocket.
func TestExpectedUserOfASocket(t *testing.T) {
	s := start(t, cognitotest.Options{})
	ua := s.login()
	header := http.Header{"Origin": {publicURL}, "X-Expected-Sub": {"somebody-else"}}
	for _, cookie := range ua.Cookies() {
		header.Add("Cookie", cookie.Name+"="+cookie.Value)
	}
	upstream := len(s.api.seen())
	dial := func() int {
		conn, answer, err := websocket.Dial(t.Context(), publicURL+"/live/socket", &websocket.DialOptions{ //nolint:bodyclose // Dial keeps what it has read
			HTTPHeader: header, HTTPClient: &http.Client{Transport: s.transport()},
		})
		if err == nil {
			_ = conn.CloseNow()
		}
		return answer.StatusCode
	}
	if status := dial(); status != http.StatusConflict || len(s.api.seen()) != upstream {
		t.Errorf("as somebody else: %d, and the API received %d requests", status, len(s.api.seen())-upstream)
	}
	header.Add("X-Expected-Sub", s.pool.User("demo").Sub)
	if status := dial(); status != http.StatusConflict {
		t.Errorf("as two users: %d", status)
	}
	header["X-Expected-Sub"] = []string{s.pool.User("demo").Sub, "somebody-else"}
	if status := dial(); status != http.StatusConflict {
		t.Errorf("as two users, the other way round: %d", status)
	}
	header.Set("X-Expected-Sub", s.pool.User("demo").Sub)
	if status := dial(); status != http.StatusSwitchingProtocols {
		t.Errorf("as the user: %d", status)
	}
}

// TestExpectedUserBehindAGateway: gateways take 401 and 403 only for a refusal.
func TestExpectedUserBehindAGateway(t *testing.T) {
	s := startWith(t, cognitotest.Options{}, service{further: fmt.Sprintf("auth: {verify_secret: %q}", gatewaySecret)})
	ua := s.login()
	r := ua.Fetch(http.MethodGet, "/auth/verify", "", useragent.FetchOptions{Header: map[string]string{
		"X-Expected-Sub": "somebody-else", "X-Auth-Request-Secret": gatewaySecret,
	}})
	if r.Status != http.StatusForbidden || r.Header.Get("X-Auth-Error") != "user_changed" || r.Header.Get("Authorization") != "" {
		t.Errorf("%d %v", r.Status, r.Header)
	}
}

// TestExpectedUserOfAnotherOrigin: the browser asks before it sends the header to another
// origin, and shows the refusal to the page.
func TestExpectedUserOfAnotherOrigin(t *testing.T) {
	s := startForSister(t)
	ua := s.login()
	options := expecting("somebody-else")
	options.Credentials = "include"
	r := ua.FetchFrom(sister, http.MethodPost, publicURL+"/any/x", "{}", options)
	if r.Blocked {
		t.Fatalf("blocked: %v", r.Err)
	}
	testkit.WantProblem(t, r.Answer(), http.StatusConflict, "user_changed")
}

// TestExpectedUserWithoutASession: an API that is open to everybody stays so. Who has no
// session is not another user.
func TestExpectedUserWithoutASession(t *testing.T) {
	s := start(t, cognitotest.Options{})
	s.ready()
	ua := s.browser()
	if r := ua.Fetch(http.MethodGet, "/open/x", "", expecting("demo")); r.Status != http.StatusOK {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	wantProblem(t, ua.Fetch(http.MethodGet, "/api/me", "", expecting("demo")), http.StatusUnauthorized, "not_authenticated")
	wantProblem(t, ua.Fetch(http.MethodGet, "/storage/usage", "", expecting("demo")), http.StatusUnauthorized, "not_authenticated")
	if r := ua.Fetch(http.MethodPost, "/auth/logout", "", expecting("demo")); r.Status != http.StatusOK {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

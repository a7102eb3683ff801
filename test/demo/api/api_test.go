package demoapi_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"

	demoapi "cognito-token-handler/test/demo/api"
	"cognito-token-handler/test/testkit"
)

const (
	issuer   = "http://localhost:9229/pool"
	clientID = "client-1"
)

// world is a server of the API and a pool with one key.
type world struct {
	api *httptest.Server
	key *rsa.PrivateKey
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key := newKey(t)
	pool := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "RS256"}}})
	}))
	t.Cleanup(pool.Close)
	api := demoapi.New(t.Context(), demoapi.Config{
		Issuer: issuer, JWKSURL: pool.URL, ClientID: clientID, Interval: 10 * time.Millisecond,
	})
	server := httptest.NewServer(api.Handler())
	t.Cleanup(server.Close)
	return &world{api: server, key: key}
}

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// validClaims returns the claims of a valid access token.
func validClaims() map[string]any {
	now := time.Now().Unix()
	return map[string]any{
		"iss": issuer, "sub": "user-1", "client_id": clientID, "token_use": "access", "username": "user-1",
		"iat": now, "exp": now + 300,
	}
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithHeader("kid", "k1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (w *world) token(t *testing.T) string {
	t.Helper()
	return sign(t, jose.RS256, w.key, validClaims())
}

func (w *world) request(t *testing.T, method, path, token string, body io.Reader) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.api.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request
}

// answer is a complete response of the API.
type answer struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, request *http.Request) answer {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}
}

func TestMe(t *testing.T) {
	w := newWorld(t)
	token := w.token(t)
	got := do(t, w.request(t, http.MethodGet, "/api/me", token, http.NoBody))
	var parsed struct{ Claims map[string]any }
	if err := json.Unmarshal([]byte(got.body), &parsed); err != nil {
		t.Fatal(err)
	}
	if got.status != http.StatusOK || parsed.Claims["sub"] != "user-1" || parsed.Claims["client_id"] != clientID {
		t.Errorf("GET /api/me = %d %s", got.status, got.body)
	}
	if strings.Contains(got.body, token[:20]) {
		t.Error("the answer holds the token")
	}
	if got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control = %q", got.header.Get("Cache-Control"))
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t)
	with := func(name string, value any) string {
		claims := validClaims()
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
		return sign(t, jose.RS256, w.key, claims)
	}
	valid := w.token(t)
	tests := map[string]string{
		"none":            "",
		"garbage":         "abc",
		"cut":             valid[:len(valid)-5],
		"other key":       sign(t, jose.RS256, newKey(t), validClaims()),
		"other algorithm": sign(t, jose.HS256, []byte("0123456789abcdef0123456789abcdef"), validClaims()),
		"expired":         with("exp", time.Now().Unix()-1),
		"no expiry":       with("exp", nil),
		"not yet":         with("nbf", time.Now().Unix()+3600),
		"other issuer":    with("iss", issuer+"/"),
		"no issuer":       with("iss", nil),
		"ID token":        with("token_use", "id"),
		"no use":          with("token_use", nil),
		"other client":    with("client_id", "client-2"),
		"no client":       with("client_id", nil),
		"no subject":      with("sub", nil),
	}
	for name, token := range tests {
		t.Run(name, func(t *testing.T) {
			got := do(t, w.request(t, http.MethodGet, "/api/me", token, http.NoBody))
			challenge := got.header.Get("WWW-Authenticate")
			if got.status != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("GET = %d, WWW-Authenticate = %q", got.status, challenge)
			}
			if strings.Contains(challenge, "invalid_token") != (token != "") {
				t.Errorf("WWW-Authenticate = %q", challenge)
			}
			if token != "" && strings.Contains(got.body+challenge, token) {
				t.Error("the answer holds the token")
			}
		})
	}
}

func TestEveryRouteIsClosed(t *testing.T) {
	w := newWorld(t)
	for path, method := range map[string]string{
		"/api/me": http.MethodGet, "/api/slow": http.MethodGet, "/api/events": http.MethodGet, "/api/socket": http.MethodGet,
		"/api/echo": http.MethodPost,
	} {
		if got := do(t, w.request(t, method, path, "", http.NoBody)); got.status != http.StatusUnauthorized {
			t.Errorf("%s %s = %d", method, path, got.status)
		}
	}
}

func TestTwoAuthorizationHeaders(t *testing.T) {
	w := newWorld(t)
	request := w.request(t, http.MethodGet, "/api/me", w.token(t), http.NoBody)
	request.Header.Add("Authorization", "Bearer x")
	if got := do(t, request); got.status != http.StatusUnauthorized {
		t.Errorf("GET = %d", got.status)
	}
}

func TestSlow(t *testing.T) {
	w := newWorld(t)
	token := w.token(t)
	for query, want := range map[string]int{
		"?ms=20": http.StatusOK, "?ms=0": http.StatusOK, "?ms=-1": http.StatusBadRequest, "?ms=60001": http.StatusBadRequest,
		"?ms=x": http.StatusBadRequest, "?ms=9223372036854775807": http.StatusBadRequest,
	} {
		begun := time.Now()
		got := do(t, w.request(t, http.MethodGet, "/api/slow"+query, token, http.NoBody))
		if got.status != want {
			t.Errorf("GET /api/slow%s = %d", query, got.status)
		}
		if query == "?ms=20" && time.Since(begun) < 20*time.Millisecond {
			t.Errorf("it took %s", time.Since(begun))
		}
	}
}

func TestEventsComeOneByOne(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Deadline)
	defer cancel()
	request := w.request(t, http.MethodGet, "/api/events", w.token(t), http.NoBody).WithContext(ctx)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type = %q", got)
	}
	lines := bufio.NewScanner(response.Body)
	for ids := 0; ids < 3 && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "id: ") {
			ids++
		}
	}
	if err := lines.Err(); err != nil {
		t.Error(err)
	}
}

func TestSocketEchoes(t *testing.T) {
	w := newWorld(t)
	header := http.Header{"Authorization": {"Bearer " + w.token(t)}, "Origin": {"http://localhost:8080"}}
	connection, response, err := websocket.Dial(t.Context(), w.api.URL+"/api/socket", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		defer func() { _ = response.Body.Close() }()
	}
	defer func() { _ = connection.CloseNow() }()
	connection.SetReadLimit(64 << 10)
	for _, message := range []string{"hello", strings.Repeat("x", 50_000)} {
		if err := connection.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		kind, got, err := connection.Read(t.Context())
		if err != nil || kind != websocket.MessageText || string(got) != message {
			t.Errorf("read %d bytes of kind %v, %v", len(got), kind, err)
		}
	}
	if err := connection.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func TestEcho(t *testing.T) {
	w := newWorld(t)
	token := w.token(t)
	request := w.request(t, http.MethodPost, "/api/echo?a=1", token, strings.NewReader("12345"))
	maps.Copy(request.Header, http.Header{
		"Content-Type": {"text/plain"}, "X-Request-Id": {"r1"}, "Cookie": {"planted=secret"}, "X-Access-Token": {token},
	})
	got := do(t, request)
	var parsed struct {
		Bytes        int64
		ContentType  string `json:"content_type"`
		Method, Path string
		Query        string
		Headers      map[string][]string
		OtherHeaders []string `json:"other_headers"`
	}
	if err := json.Unmarshal([]byte(got.body), &parsed); err != nil {
		t.Fatal(err)
	}
	if parsed.Bytes != 5 || parsed.ContentType != "text/plain" || parsed.Path != "/api/echo" || parsed.Query != "a=1" {
		t.Errorf("POST /api/echo = %d %s", got.status, got.body)
	}
	if bearer := parsed.Headers["Authorization"]; len(bearer) != 1 || !strings.HasPrefix(bearer[0], "Bearer [") {
		t.Errorf("Authorization = %q", bearer)
	}
	if id := parsed.Headers["X-Request-Id"]; len(id) != 1 || id[0] != "r1" {
		t.Errorf("X-Request-Id = %q", id)
	}
	if others := strings.Join(parsed.OtherHeaders, " "); !strings.Contains(others, "Cookie") || !strings.Contains(others, "X-Access-Token") {
		t.Errorf("other headers = %q", others)
	}
	if strings.Contains(got.body, token) || strings.Contains(got.body, "secret") {
		t.Error("the answer holds a secret")
	}
}

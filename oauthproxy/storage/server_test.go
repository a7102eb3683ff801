//go:build e2e

package storage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/s3local"
	"cognito-token-handler/test/testkit"
)

const (
	noteText = `{"note":"hello"}`
	noteType = "application/json"
)

func startServer(t *testing.T) *s3local.Server {
	t.Helper()
	server, err := s3local.Start(t.Context(), s3local.Options{AppOrigins: []string{"https://app.example.com"}, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// handlerAt returns a handler for server's bucket whose clock is wrong by skew.
func handlerAt(t *testing.T, server *s3local.Server, user string, skew time.Duration) *storage.Handler {
	t.Helper()
	return mustNew(t, configAt(t, server, skew), authority{subject: user})
}

func configAt(t *testing.T, server *s3local.Server, skew time.Duration) storage.Config {
	t.Helper()
	cfg := goodConfig(t)
	cfg.Bucket, cfg.Region, cfg.Endpoint, cfg.PathStyle = server.Bucket, server.Region, server.Endpoint, true
	cfg.Credentials = service(credentials.NewStaticCredentialsProvider(server.AccessKey, server.SecretKey, ""))
	cfg.Expires = time.Minute
	cfg.Now = func() time.Time { return time.Now().Add(skew) }
	return cfg
}

func note(t *testing.T, changes map[string]any) string {
	t.Helper()
	body := map[string]any{"key": "notes/a.json", "content_type": noteType, "size": len(noteText)}
	maps.Copy(body, changes)
	return jsonOf(t, body)
}

// presigned returns the request that a browser makes from the response: with its headers,
// a body, and nothing else.
func presigned(t *testing.T, h http.Handler, body, content string) *http.Request {
	t.Helper()
	a, _ := mustUpload(t, h, body)
	r, err := http.NewRequestWithContext(t.Context(), a.Method, a.URL, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range a.Headers {
		r.Header.Set(name, value)
	}
	return r
}

// do sends r and returns the status and the code of S3's error, if any.
func do(t *testing.T, r *http.Request) (status int, code string) {
	t.Helper()
	got := roundTrip(t, r)
	if got.status != http.StatusOK {
		t.Logf("the server: %d %s", got.status, got.body)
	}
	var fault struct{ Code string }
	if got.body != "" && xml.Unmarshal([]byte(got.body), &fault) != nil {
		t.Fatalf("answered %d %q", got.status, got.body)
	}
	return got.status, fault.Code
}

func roundTrip(t *testing.T, r *http.Request) fetched {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: testkit.Deadline}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fetched{response.StatusCode, response.Header, string(text)}
}

func stored(t *testing.T, server *s3local.Server, key string) (content, contentType string) {
	t.Helper()
	object, err := server.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &server.Bucket, Key: &key})
	if _, missing := errors.AsType[*types.NoSuchKey](err); missing {
		return "", ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = object.Body.Close() }()
	text, err := io.ReadAll(object.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), aws.ToString(object.ContentType)
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestServerStoresWhatWasSigned(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	for name, changes := range map[string]map[string]any{
		"plain":          {"key": "plain"},
		"checksum":       {"key": "checksum", "checksum_sha256": checksum(noteText)},
		"condition":      {"key": "condition", "if_none_match": "*"},
		"all":            {"key": "all", "if_none_match": "*", "checksum_sha256": checksum(noteText)},
		"type parameter": {"key": "parameter", "content_type": `text/plain; charset=utf-8; name="a  b"`},
		"wide":           {"key": "Größe/日本/📷 e\u0301"},
		"percent":        {"key": "100%/%2e%2e/%2F"},
		"reserved":       {"key": "a b+c?d#e&f=g;h:i@j$k,l!m*n'(o)[p]{q}|~\"<>^`"},
		"long":           {"key": strings.Repeat("sixteen-letters/", 56) + "last"}, // 900 bytes
	} {
		t.Run(name, func(t *testing.T) {
			if status, code := do(t, presigned(t, h, note(t, changes), noteText)); status != http.StatusOK {
				t.Fatalf("refused: %d %s", status, code)
			}
			wantType := noteType
			if name == "type parameter" {
				wantType = `text/plain; charset=UTF-8; name="a  b"`
			}
			key := fmt.Sprintf("users/user-a/%s", changes["key"])
			if content, contentType := stored(t, server, key); content != noteText || contentType != wantType {
				t.Errorf("stored %q as %q under %q", content, contentType, key)
			}
		})
	}
	t.Run("one byte", func(t *testing.T) {
		status, code := do(t, presigned(t, h, note(t, map[string]any{"key": "byte", "size": 1}), "x"))
		if content, _ := stored(t, server, "users/user-a/byte"); status != http.StatusOK || content != "x" {
			t.Errorf("%d %s, stored %q", status, code, content)
		}
	})
}

// Each request differs in one respect from what was signed.
func TestServerRefusesOtherRequests(t *testing.T) {
	server := startServer(t)
	withSum := map[string]any{"checksum_sha256": checksum(noteText)}
	const signature, denied = "SignatureDoesNotMatch", "AccessDenied"
	for name, c := range map[string]struct {
		changes map[string]any
		content string
		breaks  func(*http.Request)
		status  int
		code    string
	}{
		"longer":               {nil, noteText + " ", nil, 403, signature},
		"shorter":              {nil, noteText[1:], nil, 403, signature},
		"empty":                {nil, "", nil, 403, signature},
		"no length":            {nil, noteText, func(r *http.Request) { r.ContentLength = -1 }, 403, signature},
		"other type":           {nil, noteText, func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }, 403, signature},
		"no type":              {nil, noteText, func(r *http.Request) { r.Header.Del("Content-Type") }, 403, signature},
		"other key":            {nil, noteText, replacePath("a.json", "b.json"), 403, signature},
		"key in another case":  {nil, noteText, replacePath("a.json", "A.json"), 403, signature},
		"other user":           {nil, noteText, replacePath("user-a", "user-b"), 403, signature},
		"other user by dots":   {nil, noteText, replacePath("user-a/", "user-a/../user-b/"), 403, signature},
		"other bucket":         {nil, noteText, replacePath("/"+server.Bucket+"/", "/other/"), 403, signature},
		"later expiry":         {nil, noteText, setQuery("X-Amz-Expires", "604800"), 403, signature},
		"other date":           {nil, noteText, setQuery("X-Amz-Date", time.Now().UTC().Add(time.Minute).Format("20060102T150405Z")), 403, signature},
		"fewer signed headers": {nil, noteText, setQuery("X-Amz-SignedHeaders", "content-type;host"), 403, signature},
		"another header":       {nil, noteText, func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, 403, denied},
		"deletion":             {nil, "", func(r *http.Request) { r.Method = http.MethodDelete }, 403, signature},
		"reading":              {nil, "", func(r *http.Request) { r.Method = http.MethodGet }, 403, signature},
		"no signature":         {nil, noteText, func(r *http.Request) { r.URL.RawQuery = "" }, 403, denied},
		"other bytes":          {withSum, strings.ToUpper(noteText), nil, 400, "BadDigest"},
		"other checksum": {withSum, strings.ToUpper(noteText), func(r *http.Request) {
			r.Header.Set("X-Amz-Checksum-Sha256", checksum(strings.ToUpper(noteText)))
		}, 403, signature},
		"no checksum": {withSum, strings.ToUpper(noteText), func(r *http.Request) { r.Header.Del("X-Amz-Checksum-Sha256") }, 403, signature},
		"no condition": {map[string]any{"if_none_match": "*"}, noteText, func(r *http.Request) {
			r.Header.Del("If-None-Match")
		}, 403, signature},
	} {
		t.Run(name, func(t *testing.T) {
			r := presigned(t, handlerAt(t, server, "user-a", 0), note(t, c.changes), c.content)
			if c.breaks != nil {
				c.breaks(r)
			}
			if status, code := do(t, r); status != c.status || code != c.code {
				t.Errorf("answered %d %s, want %d %s", status, code, c.status, c.code)
			}
			wantEmpty(t, server)
		})
	}
	t.Run("after expiry", func(t *testing.T) {
		r := presigned(t, handlerAt(t, server, "user-a", -61*time.Second), note(t, nil), noteText)
		if status, code := do(t, r); status != http.StatusForbidden || code != denied {
			t.Errorf("answered %d %s", status, code)
		}
		wantEmpty(t, server)
	})
	t.Run("just before expiry", func(t *testing.T) { // so that the case above fails only because of its age
		r := presigned(t, handlerAt(t, server, "user-a", -30*time.Second), note(t, nil), noteText)
		if status, code := do(t, r); status != http.StatusOK {
			t.Errorf("answered %d %s", status, code)
		}
	})
}

func wantEmpty(t *testing.T, server *s3local.Server) {
	t.Helper()
	list, err := server.Client().ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &server.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range list.Contents {
		t.Errorf("%s was stored", aws.ToString(object.Key))
	}
}

func replacePath(from, to string) func(*http.Request) {
	return func(r *http.Request) {
		r.URL.Path = strings.Replace(r.URL.Path, from, to, 1)
		r.URL.RawPath = ""
	}
}

func setQuery(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		query := r.URL.Query()
		query.Set(name, value)
		r.URL.RawQuery = query.Encode()
	}
}

func TestServerRefusesTheSecondWrite(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	once := note(t, map[string]any{"if_none_match": "*"})
	reused := presigned(t, h, once, noteText)
	if status, code := do(t, presigned(t, h, once, noteText)); status != http.StatusOK {
		t.Fatalf("first write: %d %s", status, code)
	}
	second := strings.ToUpper(noteText)
	for name, r := range map[string]*http.Request{
		"signed before": reused,
		"signed after":  presigned(t, h, once, second),
	} {
		t.Run(name, func(t *testing.T) {
			if status, code := do(t, r); status != http.StatusPreconditionFailed || code != "PreconditionFailed" {
				t.Errorf("answered %d %s", status, code)
			}
			if content, _ := stored(t, server, "users/user-a/notes/a.json"); content != noteText {
				t.Errorf("the object is %q now", content)
			}
		})
	}
	t.Run("without the condition", func(t *testing.T) {
		if status, code := do(t, presigned(t, h, note(t, nil), second)); status != http.StatusOK {
			t.Errorf("answered %d %s", status, code)
		}
		if content, _ := stored(t, server, "users/user-a/notes/a.json"); content != second {
			t.Errorf("the object is %q", content)
		}
	})
}

// The same key of two users names two objects, also if one id is a prefix of the other.
func TestServerKeepsUsersApart(t *testing.T) {
	server := startServer(t)
	users := map[string]string{"abc": "[of abc..]", "abcd": "[of abcd.]", "abc:d": "[of abc:d]"}
	for user, text := range users {
		body := note(t, map[string]any{"key": "same", "size": len(text)})
		if status, code := do(t, presigned(t, handlerAt(t, server, user, 0), body, text)); status != http.StatusOK {
			t.Fatalf("%s: %d %s", user, status, code)
		}
	}
	for user, text := range users {
		if content, _ := stored(t, server, "users/"+user+"/same"); content != text {
			t.Errorf("%s has %q", user, content)
		}
	}
}

// Browsers normalise URLs. The signed URL contains nothing that they would change: no dot
// segment, no backslash and no unescaped byte.
func TestServerTakesTheURLThroughABrowsersParser(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	a, _ := mustUpload(t, h, note(t, map[string]any{"key": "..a/.b/c d|e^f"}))
	u, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(u.EscapedPath(), "|^ \\\"<>`{}") {
		t.Errorf("a browser would escape again: %s", u.EscapedPath())
	}
	r, err := http.NewRequestWithContext(t.Context(), a.Method, u.ResolveReference(u).String(), bytes.NewBufferString(noteText))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", noteType)
	if status, code := do(t, r); status != http.StatusOK {
		t.Errorf("answered %d %s", status, code)
	}
}

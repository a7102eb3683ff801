package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/tokenhandler/web"
)

// refused sends a request and compares the whole error response.
func refused(t *testing.T, h http.Handler, path, contentType, body string, status int, code, detail string) http.Header {
	t.Helper()
	rec := send(t, h, http.MethodPost, path, contentType, body)
	want := map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": float64(status), "code": code, "detail": detail,
	}
	if status == http.StatusUnauthorized {
		want["login_url"] = "/auth/login"
	}
	var got map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatalf("answered %d %q: %v", rec.Code, rec.Body, err)
	}
	if diff := cmp.Diff(want, got); diff != "" || rec.Code != status {
		t.Errorf("answered %d:\n%s", rec.Code, diff)
	}
	if got := rec.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("sent as %q", got)
	}
	return rec.Header()
}

func TestUploadRefusesBodies(t *testing.T) {
	const asJSON = "application/json"
	h := mustNew(t, goodConfig(t), authority{subject: subject})
	for name, c := range map[string]struct{ contentType, body, detail string }{
		// Browsers send forms and text to other sites without a preflight.
		"no type":           {"", minimal, "the body must be sent as application/json"},
		"text":              {"text/plain", minimal, "the body must be sent as application/json"},
		"form":              {"application/x-www-form-urlencoded", minimal, "the body must be sent as application/json"},
		"problem":           {"application/problem+json", minimal, "the body must be sent as application/json"},
		"broken type":       {"application/json; charset", minimal, "the body must be sent as application/json"},
		"other charset":     {"application/json; charset=utf-16", minimal, "the body must be sent as application/json"},
		"empty":             {asJSON, "", "the body is not valid JSON"},
		"cut off":           {asJSON, minimal[:20], "the body is not valid JSON"},
		"trailing text":     {asJSON, minimal + "x", "the body is not valid JSON"},
		"second object":     {asJSON, minimal + minimal, "the body is not valid JSON"},
		"trailing comma":    {asJSON, `{"key":"a",}`, "the body is not valid JSON"},
		"comment":           {asJSON, `{"key":"a"/**/}`, "the body is not valid JSON"},
		"byte order mark":   {asJSON, "\ufeff" + minimal, "the body is not valid JSON"},
		"broken UTF-8":      {asJSON, "{\"key\":\"a\xff\",\"content_type\":\"text/plain\",\"size\":1}", "the body is not valid JSON"},
		"array":             {asJSON, "[" + minimal + "]", "the body is not a JSON object"},
		"null":              {asJSON, "null", "the body is not a JSON object"},
		"string":            {asJSON, `"a"`, "the body is not a JSON object"},
		"unknown field":     {asJSON, `{"key":"a","content_type":"text/plain","size":1,"acl":"public-read"}`, `the body holds the unknown field "acl"`},
		"field in capitals": {asJSON, `{"Key":"a","content_type":"text/plain","size":1}`, `the body holds the unknown field "Key"`},
		"long field":        {asJSON, `{"` + strings.Repeat("ä", 50) + `":1}`, `the body holds the unknown field "` + strings.Repeat("ä", 32) + `…"`},
		"repeated key":      {asJSON, `{"key":"a","key":"b","content_type":"text/plain","size":1}`, `the body holds "key" twice`},
		"repeated, escaped": {asJSON, `{"key":"a","ke\u0079":"b","content_type":"text/plain","size":1}`, `the body holds "key" twice`},
		"key null":          {asJSON, `{"key":null,"content_type":"text/plain","size":1}`, `"key" must be a string`},
		"key number":        {asJSON, `{"key":1,"content_type":"text/plain","size":1}`, `"key" must be a string`},
		"key object":        {asJSON, `{"key":{},"content_type":"text/plain","size":1}`, `"key" must be a string`},
		"checksum null":     {asJSON, `{"key":"a","content_type":"text/plain","size":1,"checksum_sha256":null}`, `"checksum_sha256" must be a string`},
		"size text":         {asJSON, `{"key":"a","content_type":"text/plain","size":"1"}`, `"size" must be a whole number`},
		"size fraction":     {asJSON, `{"key":"a","content_type":"text/plain","size":1.5}`, `"size" must be a whole number`},
		"size exponent":     {asJSON, `{"key":"a","content_type":"text/plain","size":1e3}`, `"size" must be a whole number`},
		"size overflow":     {asJSON, `{"key":"a","content_type":"text/plain","size":18446744073709551617}`, `"size" must be a whole number`},
		"type parameter":    {asJSON, `{"key":"a","content_type":"text/plain; charset=utf-8; *=utf-8''x","size":0}`, `"content_type" is not a media type`},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, h, "/storage/uploads", c.contentType, c.body, 400, "invalid_request", c.detail)
		})
	}
}

func TestUploadRefusesFields(t *testing.T) {
	cfg := goodConfig(t)
	cfg.ContentTypes = []string{"text/plain", "image/*"}
	h := mustNew(t, cfg, authority{subject: subject})
	const (
		control  = `"key" holds a control character`
		segment  = `"key" holds an empty, "." or ".." segment`
		slash    = `"key" begins or ends with a slash`
		notMedia = `"content_type" is not a media type`
		notASCII = `"content_type" holds other characters than printable ASCII`
		notSum   = `"checksum_sha256" is not a SHA-256 in base64`
		notSize  = `"size" is required and must be at least 0`
	)
	for name, c := range map[string]struct {
		field  string
		value  any // nil removes the field
		detail string
	}{
		"key missing":       {"key", nil, `"key" is required`},
		"key empty":         {"key", "", `"key" is required`},
		"key long":          {"key", strings.Repeat("k", 901), `"key" is over 900 bytes`},
		"key long in bytes": {"key", strings.Repeat("ä", 451), `"key" is over 900 bytes`},
		"key NUL":           {"key", "a\x00b", control},
		"key newline":       {"key", "a\nb", control},
		"key tab":           {"key", "a\tb", control},
		"key DEL":           {"key", "a\x7fb", control},
		"key no character":  {"key", "a\uffffb", `"key" holds a character that is none`},
		"key C1":            {"key", "a\u0085b", control},
		"key backslash":     {"key", `a\b`, `"key" holds a backslash`},
		"key backslash up":  {"key", `..\up\a`, `"key" holds a backslash`},
		"key replacement":   {"key", "a\ufffdb", `"key" is not valid UTF-8`},
		"key rooted":        {"key", "/a", slash},
		"key folder":        {"key", "a/", slash},
		"key slash":         {"key", "/", slash},
		"key empty segment": {"key", "a//b", segment},
		"key dot":           {"key", ".", segment},
		"key dot first":     {"key", "./a", segment},
		"key dot inside":    {"key", "a/./b", segment},
		"key dots":          {"key", "..", segment},
		"key other user":    {"key", "../other-sub/a", segment},
		"key up and down":   {"key", "a/../../other-sub/a", segment},
		"key dots last":     {"key", "a/..", segment},

		"type missing":    {"content_type", nil, `"content_type" is required; "" means application/octet-stream`},
		"type empty":      {"content_type", "", `"content_type" is not among those that may be uploaded`}, // it means application/octet-stream
		"type long":       {"content_type", "image/" + strings.Repeat("x", 250), `"content_type" is over 255 bytes`},
		"type newline":    {"content_type", "text/plain\r\nx-amz-acl: public-read", notASCII},
		"type tab":        {"content_type", "text/plain;\tcharset=utf-8", notASCII},
		"type wide":       {"content_type", `text/plain; name="ä"`, notASCII},
		"type space":      {"content_type", "text/plain ", `"content_type" begins or ends with a space`},
		"type no slash":   {"content_type", "text", notMedia},
		"type half":       {"content_type", "text/", notMedia},
		"type broken":     {"content_type", "text/plain; charset", notMedia},
		"type star":       {"content_type", "image/*", notMedia},
		"type stars":      {"content_type", "*/*", notMedia},
		"type other":      {"content_type", "text/html", `"content_type" is not among those that may be uploaded`},
		"type lookalike":  {"content_type", "images/png", `"content_type" is not among those that may be uploaded`},
		"type smuggled":   {"content_type", `text/html; x="image/png"`, `"content_type" is not among those that may be uploaded`},
		"type two":        {"content_type", "text/plain, text/html", notMedia},
		"type begins so":  {"content_type", "text/plainer", `"content_type" is not among those that may be uploaded`},
		"size missing":    {"size", nil, notSize},
		"size negative":   {"size", -1, notSize},
		"checksum hex":    {"checksum_sha256", strings.Repeat("ab", 32), notSum},
		"checksum short":  {"checksum_sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==", notSum},
		"checksum URL":    {"checksum_sha256", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", notSum},
		"checksum bare":   {"checksum_sha256", strings.TrimSuffix(sum, "="), notSum},
		"checksum lines":  {"checksum_sha256", sum[:20] + "\r\n" + sum[20:], notSum},
		"checksum bits":   {"checksum_sha256", strings.Replace(sum, "U=", "V=", 1), notSum},
		"crc hex":         {"checksum_crc32", "d13183c7", `"checksum_crc32" is not a CRC32 in base64`},
		"crc lines":       {"checksum_crc32", "0TGD\r\nxw==", `"checksum_crc32" is not a CRC32 in base64`},
		"version bare":    {"if_match", "abc", `"if_match" must be an ETag with its quotes, as the list of objects has it`},
		"version weak":    {"if_match", `W/"abc"`, `"if_match" must be an ETag with its quotes, as the list of objects has it`},
		"version lines":   {"if_match", "\"abc\r\nX: y\"", `"if_match" must be an ETag with its quotes, as the list of objects has it`},
		"metadata list":   {"metadata", []string{"a"}, `"metadata" must be an object of strings, without repeated names`},
		"metadata number": {"metadata", map[string]any{"a": 1}, `"metadata" must be an object of strings, without repeated names`},
		"metadata null":   {"metadata", map[string]any{"a": nil}, `"metadata" must be an object of strings, without repeated names`},
		"metadata deep":   {"metadata", map[string]any{"a": map[string]any{"b": "c"}}, `"metadata" must be an object of strings, without repeated names`},
		"metadata twice":  {"metadata", json.RawMessage(`{"a":"1","\u0061":"2"}`), `"metadata" must be an object of strings, without repeated names`},
		"metadata name":   {"metadata", map[string]any{"A_b": "c"}, `"metadata" has the name "A_b"; names are lower-case letters, digits and dashes`},
		"metadata colon":  {"metadata", map[string]any{"a:": "c"}, `"metadata" has the name "a:"; names are lower-case letters, digits and dashes`},
		"metadata empty":  {"metadata", map[string]any{"a": ""}, `"metadata" has an empty value`},
		"metadata lines":  {"metadata", map[string]any{"a": "b\r\nx-amz-acl: public-read"}, `"metadata" holds other characters than printable ASCII`},
		"metadata wide":   {"metadata", map[string]any{"a": "ä"}, `"metadata" holds other characters than printable ASCII`},
		"metadata long":   {"metadata", map[string]any{"a": strings.Repeat("x", 1024), "b": strings.Repeat("x", 1024)}, `"metadata" is over 2048 bytes`},
		"cache lines":     {"cache_control", "no-store\nX: y", `"cache_control" holds other characters than printable ASCII`},
		"cache long":      {"cache_control", strings.Repeat("x", 1025), `"cache_control" is over 1024 bytes`},
		"disposition":     {"content_disposition", "form-data; name=x", `"content_disposition" is neither inline nor attachment (RFC 6266)`},
		"disposition bad": {"content_disposition", `attachment; filename="`, `"content_disposition" is neither inline nor attachment (RFC 6266)`},
		"condition etag":  {"if_none_match", `"abc"`, `"if_none_match" must be "*"`},
		"condition stars": {"if_none_match", "*, *", `"if_none_match" must be "*"`},
	} {
		t.Run(name, func(t *testing.T) {
			body := map[string]any{"key": "k", "content_type": "text/plain", "size": 1}
			if body[c.field] = c.value; c.value == nil {
				delete(body, c.field)
			}
			header := refused(t, h, "/storage/uploads", "application/json", jsonOf(t, body), 400, "invalid_request", c.detail)
			if header.Get("Set-Cookie") != "session=renewed" {
				t.Error("the renewed session was lost with the refusal")
			}
		})
	}
	for name, c := range map[string]struct{ fields, detail string }{
		"two checksums":    {`"size":1,"checksum_sha256":"` + sum + `","checksum_crc32":"AAAAAA=="`, `"checksum_sha256" and "checksum_crc32" exclude each other`},
		"two conditions":   {`"size":1,"if_match":"\"a\"","if_none_match":"*"`, `"if_match" and "if_none_match" exclude each other`},
		"empty, other sum": {`"size":0,"checksum_sha256":"` + strings.Repeat("A", 43) + `="`, `"checksum_sha256" is not that of an empty file`},
		"empty, other CRC": {`"size":0,"checksum_crc32":"0TGDxw=="`, `"checksum_crc32" is not that of an empty file`},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, h, "/storage/uploads", "application/json", `{"key":"k","content_type":"text/plain",`+c.fields+`}`, 400, "invalid_request", c.detail)
		})
	}
	t.Run("half a surrogate pair", func(t *testing.T) {
		refused(t, h, "/storage/uploads", "application/json",
			`{"key":"a\ud800b","content_type":"text/plain","size":1}`, 400, "invalid_request", `"key" is not valid UTF-8`)
	})
}

func TestUploadTooLarge(t *testing.T) {
	h := mustNew(t, goodConfig(t), authority{subject: subject})
	refused(t, h, "/storage/uploads", "application/json",
		`{"key":"a","content_type":"text/plain","size":1048577}`, 413, "too_large", `"size" is over the limit of 1048576 bytes`)
	padding := strings.Repeat(" ", 16<<10-len(minimal))
	if rec := send(t, h, http.MethodPost, "/storage/uploads", "application/json", minimal+padding); rec.Code != http.StatusCreated {
		t.Errorf("a body of exactly 16 KiB: %d %s", rec.Code, rec.Body)
	}
	refused(t, h, "/storage/uploads", "application/json",
		minimal+padding+" ", 413, "too_large", "the request body is over its limit of 16384 bytes")
}

func TestUploadWholeKeyFitsS3(t *testing.T) {
	cfg := goodConfig(t)
	cfg.Prefix = strings.Repeat("p", 91) + "/{sub}/" // 130 bytes with the subject
	h := mustNew(t, cfg, authority{subject: strings.Repeat("s", 37)})
	body := func(n int) string {
		return fmt.Sprintf(`{"key":%q,"content_type":"text/plain","size":1}`, strings.Repeat("k", n))
	}
	mustUpload(t, h, body(894))
	refused(t, h, "/storage/uploads", "application/json", body(895), 400, "invalid_request", `"key" is over 894 bytes`)
}

func TestUploadRefusesSubjects(t *testing.T) {
	for _, sub := range []string{
		"", "..", ".", "a/b", "../other", "a\\b", "a b", "a.b", "a%2fb", "a\x00", "é", "auth0|123", "{sub}", strings.Repeat("s", 129),
	} {
		t.Run(sub, func(t *testing.T) {
			h := mustNew(t, goodConfig(t), authority{subject: sub})
			refused(t, h, "/storage/uploads", "application/json", minimal, 502, "provider_error", "the user's id cannot name a folder")
		})
	}
	for _, sub := range []string{"0f9e8d7c-1111-2222-3333-444455556666", "eu-central-1:abc_D", strings.Repeat("s", 128)} {
		mustUpload(t, mustNew(t, goodConfig(t), authority{subject: sub}), minimal)
	}
}

func TestUploadCredentials(t *testing.T) {
	const (
		expired     = "the storage credentials are expired; try again later"
		unavailable = "the storage credentials are unavailable; try again later"
	)
	for name, c := range map[string]struct {
		provider aws.CredentialsProvider
		detail   string
	}{
		"unavailable":      {aws.CredentialsProviderFunc(failingCredentials), unavailable},
		"expired long ago": {expiring(noon.Add(-time.Hour)), expired},
		"just expired":     {expiring(noon.Truncate(time.Second)), expired},
		"no time":          {expiring(time.Time{}), expired},
		"empty":            {aws.CredentialsProviderFunc(emptyCredentials), unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig(t)
			cfg.Credentials = service(c.provider)
			// The body is compared exactly, so it contains no text of AWS.
			refused(t, mustNew(t, cfg, authority{subject: subject}), "/storage/uploads", "application/json", minimal, 502, "upstream_error", c.detail)
		})
	}
}

// STS or the machine's metadata service may accept a connection and never respond.
func TestUploadDoesNotWaitForCredentialsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := goodConfig(t)
		cfg.Credentials = service(aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			select {
			case <-ctx.Done():
				return aws.Credentials{}, ctx.Err()
			case <-time.After(time.Hour):
				return aws.Credentials{}, errPlanted
			}
		}))
		begun := time.Now()
		refused(t, mustNew(t, cfg, authority{subject: subject}), "/storage/uploads", "application/json", minimal, 504, "upstream_timeout",
			"the storage credentials took too long to arrive; try again later")
		if took := time.Since(begun); took != 10*time.Second {
			t.Errorf("answered after %s", took)
		}
	})
}

// untouchable is a body that fails the test if it is read before the request is
// authorised.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, errors.New("unreadable")
}

func TestUploadAuthorizesFirst(t *testing.T) {
	for code, status := range map[web.Code]int{
		web.CodeNotAuthenticated: 401, web.CodeSessionExpired: 401, web.CodeProviderUnavailable: 503,
	} {
		t.Run(string(code), func(t *testing.T) {
			h := mustNew(t, goodConfig(t), authority{refusal: web.NewProblem(code, "the authorizer's detail", nil)})
			header := refused(t, h, "/storage/uploads", "text/plain", "{", status, string(code), "the authorizer's detail")
			if header.Get("Set-Cookie") != "" {
				t.Error("a cookie was committed without a grant")
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/storage/uploads", untouchable{t})
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			h.ServeHTTP(discard{}, r)
		})
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestSurface(t *testing.T) {
	h := mustNew(t, goodConfig(t), authority{subject: subject})
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "TRACE"} {
		rec := send(t, h, method, "/storage/uploads", "application/json", minimal)
		if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "POST" {
			t.Errorf("%s: %d, Allow %q", method, rec.Code, rec.Header().Get("Allow"))
		}
	}
	// A redirect to a cleaned path would lose the body and the method.
	for _, path := range []string{
		"/storage", "/storage/", "/storage/uploads/", "/storage//uploads", "/storage/./uploads", "/storage/x/../uploads",
		"/storage/Uploads", "/storage/objectsx", "/storage/multipart/", "/storage/multipart/x/y", "/storage/multipart/x/parts/", "/uploads", "/storagex/uploads", "/",
	} {
		t.Run(path, func(t *testing.T) {
			refused(t, h, path, "application/json", minimal, 404, "not_found", "there is nothing at this path")
		})
	}
	cfg := goodConfig(t)
	cfg.Path = "/files/mine"
	rec := send(t, mustNew(t, cfg, authority{subject: subject}), http.MethodPost, "/files/mine/uploads", "application/json", minimal)
	if rec.Code != http.StatusCreated {
		t.Errorf("under another path: %d", rec.Code)
	}
}

package storage_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/oauthproxy/storage"
)

const (
	minimal = `{"key":"notes/a.json","content_type":"application/json","size":1234}`
	sum     = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	full    = `{"key":"notes/a.json","content_type":"application/json","size":1234,"checksum_sha256":"` + sum + `","if_none_match":"*"}`
)

func TestUploadAnswer(t *testing.T) {
	h := mustNew(t, goodConfig(t), authority{subject: subject})
	rec := send(t, h, http.MethodPost, "/storage/uploads", "application/json; charset=UTF-8", full)
	if rec.Code != http.StatusCreated {
		t.Fatalf("answered %d %s", rec.Code, rec.Body)
	}
	for name, want := range map[string]string{
		"Content-Type":            "application/json",
		"Cache-Control":           "no-store",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
		"Set-Cookie":              "session=renewed",
		"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	} {
		if got := rec.Header().Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q once", name, got, want)
		}
	}
	got, u := mustUpload(t, h, full)
	if u.Scheme != "https" || u.Host != "s3.example.com" || u.Path != "/files/users/0f9e-sub/notes/a.json" {
		t.Errorf("the URL is %s://%s%s", u.Scheme, u.Host, u.Path)
	}
	if strings.Contains(rec.Body.String(), secretKey) {
		t.Error("the answer holds the secret key")
	}
	got.URL = ""
	want := answered{
		Method: "PUT",
		Key:    "notes/a.json",
		Headers: map[string]string{
			"Content-Type":          "application/json",
			"If-None-Match":         "*",
			"X-Amz-Checksum-Sha256": sum,
		},
		ExpiresAt: "2026-03-04T12:05:00Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What the operator demands of uploads is signed, so a browser cannot leave it out.
func TestUploadSignsTheOperatorsDemands(t *testing.T) {
	cfg := goodConfig(t)
	cfg.SSE, cfg.KMSKeyID, cfg.ExpectedBucketOwner = "aws:kms", "alias/files", "123456789012"
	a, u := mustUpload(t, mustNew(t, cfg, authority{subject: subject}), minimal)
	const signed = "content-length;content-type;host;x-amz-server-side-encryption;x-amz-server-side-encryption-aws-kms-key-id"
	if got := u.Query().Get("X-Amz-SignedHeaders"); got != signed {
		t.Errorf("signed headers %q, want %q", got, signed)
	}
	if got := u.Query().Get("x-amz-expected-bucket-owner"); got != "123456789012" {
		t.Errorf("the owner is %q: %s", got, u)
	}
	want := map[string]string{
		"Content-Type": "application/json", "X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "alias/files",
	}
	if diff := cmp.Diff(want, a.Headers); diff != "" {
		t.Error(diff)
	}
}

// S3 compares only the headers that X-Amz-SignedHeaders names.
func TestUploadSignsEveryField(t *testing.T) {
	for name, c := range map[string]struct {
		body, signed string
		headers      map[string]string
	}{
		"size and type": {
			minimal, "content-length;content-type;host",
			map[string]string{"Content-Type": "application/json"},
		},
		"size 1": { // the SDK does not sign a size of 0
			`{"key":"a","content_type":"text/plain","size":1}`, "content-length;content-type;host",
			map[string]string{"Content-Type": "text/plain"},
		},
		"size 0": { // pinned by the checksum of nothing
			`{"key":"a","content_type":"text/plain","size":0}`, "content-type;host;x-amz-checksum-sha256",
			map[string]string{"Content-Type": "text/plain", "X-Amz-Checksum-Sha256": sum},
		},
		"size 0, weaker checksum": {
			`{"key":"a","content_type":"text/plain","size":0,"checksum_crc32":"AAAAAA=="}`, "content-type;host;x-amz-checksum-sha256",
			map[string]string{"Content-Type": "text/plain", "X-Amz-Checksum-Sha256": sum},
		},
		"CRC32": {
			`{"key":"a","content_type":"text/plain","size":1,"checksum_crc32":"0TGDxw=="}`, "content-length;content-type;host;x-amz-checksum-crc32",
			map[string]string{"Content-Type": "text/plain", "X-Amz-Checksum-Crc32": "0TGDxw=="},
		},
		"version": {
			`{"key":"a","content_type":"text/plain","size":1,"if_match":"\"abc\""}`, "content-length;content-type;host;if-match",
			map[string]string{"Content-Type": "text/plain", "If-Match": `"abc"`},
		},
		"metadata": {
			`{"key":"a","content_type":"text/plain","size":1,"metadata":{"author":"a  b","page-2":"x"}}`,
			"content-length;content-type;host;x-amz-meta-author;x-amz-meta-page-2",
			map[string]string{"Content-Type": "text/plain", "X-Amz-Meta-Author": "a  b", "X-Amz-Meta-Page-2": "x"},
		},
		"headers of the answer": {
			`{"key":"a","content_type":"text/plain","size":1,"cache_control":"max-age=60","content_disposition":"attachment; filename=\"a.txt\""}`,
			"cache-control;content-disposition;content-length;content-type;host",
			map[string]string{"Content-Type": "text/plain", "Cache-Control": "max-age=60", "Content-Disposition": `attachment; filename="a.txt"`},
		},
		"condition": {
			`{"key":"a","content_type":"text/plain","size":1,"if_none_match":"*"}`, "content-length;content-type;host;if-none-match",
			map[string]string{"Content-Type": "text/plain", "If-None-Match": "*"},
		},
		"checksum": {
			`{"key":"a","content_type":"text/plain","size":1,"checksum_sha256":"` + sum + `"}`, "content-length;content-type;host;x-amz-checksum-sha256",
			map[string]string{"Content-Type": "text/plain", "X-Amz-Checksum-Sha256": sum},
		},
		"all": {
			full, "content-length;content-type;host;if-none-match;x-amz-checksum-sha256",
			map[string]string{"Content-Type": "application/json", "If-None-Match": "*", "X-Amz-Checksum-Sha256": sum},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, u := mustUpload(t, mustNew(t, goodConfig(t), authority{subject: subject}), c.body)
			q := u.Query()
			if got := q.Get("X-Amz-SignedHeaders"); got != c.signed {
				t.Errorf("signed headers %q, want %q", got, c.signed)
			}
			if diff := cmp.Diff(c.headers, a.Headers); diff != "" {
				t.Error(diff)
			}
			// With an algorithm and no value the SDK would sign the checksum of an empty body.
			for parameter := range q {
				if strings.Contains(strings.ToLower(parameter), "checksum") {
					t.Errorf("the URL holds %s=%s", parameter, q.Get(parameter))
				}
			}
			want := map[string]string{
				"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": "20260304T120000Z", "X-Amz-Expires": "300",
				"X-Amz-Credential": accessKey + "/20260304/eu-central-1/s3/aws4_request",
			}
			for parameter, value := range want {
				if q.Get(parameter) != value {
					t.Errorf("%s is %q, want %q", parameter, q.Get(parameter), value)
				}
			}
		})
	}
}

func TestUploadURLForm(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*storage.Config)
		want   string // scheme, host and path
	}{
		"path style":   {func(*storage.Config) {}, "https://s3.example.com/files/users/0f9e-sub/a"},
		"virtual host": {func(c *storage.Config) { c.PathStyle = false }, "https://files.s3.example.com/users/0f9e-sub/a"},
		"AWS":          {func(c *storage.Config) { c.PathStyle, c.Endpoint = false, "" }, "https://files.s3.eu-central-1.amazonaws.com/users/0f9e-sub/a"},
		"AWS, dots":    {func(c *storage.Config) { c.PathStyle, c.Endpoint, c.Bucket = false, "", "a.b" }, "https://s3.eu-central-1.amazonaws.com/a.b/users/0f9e-sub/a"},
		// For a directory bucket the SDK would create a session over the network.
		"directory bucket": {
			func(c *storage.Config) { c.PathStyle, c.Endpoint, c.Bucket = false, "", "files--euc1-az1--x-s3" },
			"https://files--euc1-az1--x-s3.s3express-euc1-az1.eu-central-1.amazonaws.com/users/0f9e-sub/a",
		},
		"port":        {func(c *storage.Config) { c.Endpoint = "http://localhost:7070" }, "http://localhost:7070/files/users/0f9e-sub/a"},
		"deep folder": {func(c *storage.Config) { c.Prefix = "t1/{sub}/files/" }, "https://s3.example.com/files/t1/0f9e-sub/files/a"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig(t)
			c.change(&cfg)
			_, u := mustUpload(t, mustNew(t, cfg, authority{subject: subject}), `{"key":"a","content_type":"text/plain","size":1}`)
			if got := u.Scheme + "://" + u.Host + u.EscapedPath(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// A URL expires with the credentials that signed it, whatever its own lifetime.
func TestUploadLifetimeIsCutToTheCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		left               time.Duration
		expires, expiresAt string
	}{
		"credentials outlive it":  {time.Hour, "300", "2026-03-04T12:05:00Z"},
		"credentials end first":   {90 * time.Second, "90", "2026-03-04T12:01:30Z"},
		"a fraction is cut off":   {90*time.Second + 13*time.Millisecond, "91", "2026-03-04T12:01:31Z"},
		"less than a second left": {13 * time.Millisecond, "1", "2026-03-04T12:00:01Z"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig(t)
			cfg.Credentials = service(expiring(noon.Add(c.left)))
			a, u := mustUpload(t, mustNew(t, cfg, authority{subject: subject}), minimal)
			if got := u.Query().Get("X-Amz-Expires"); got != c.expires || a.ExpiresAt != c.expiresAt {
				t.Errorf("expires %s at %s, want %s at %s", got, a.ExpiresAt, c.expires, c.expiresAt)
			}
			if u.Query().Get("X-Amz-Security-Token") != "planted-session-token" {
				t.Error("the session token is not in the URL")
			}
		})
	}
}

func TestUploadAccepts(t *testing.T) {
	cfg := goodConfig(t)
	cfg.ContentTypes = []string{"image/*", "Text/Plain"}
	h := mustNew(t, cfg, authority{subject: subject})
	for name, u := range map[string]map[string]any{
		"longest key":       {"key": strings.Repeat("k", 900)},
		"wide characters":   {"key": "Größe/日本/📷.png"},
		"dots in names":     {"key": "..a/b../.c/..."},
		"percent":           {"key": "%2e%2e/%2F/100%"},
		"soap":              {"key": "soap"}, // a problem only as a whole key, and every key has the folder in front
		"spaces":            {"key": " a b "},
		"largest size":      {"size": 1 << 20},
		"family":            {"content_type": "image/svg+xml"},
		"case":              {"content_type": "IMAGE/Png"},
		"charset":           {"content_type": "text/plain; charset=utf-8"},
		"charset, quoted":   {"content_type": `text/plain;CHARSET="Utf-8"`},
		"charset, other":    {"content_type": "text/plain; charset=iso-8859-1"},
		"no size":           {"size": 0},
		"quoted parameter":  {"content_type": `text/plain; name="a b.txt"`},
		"longest type":      {"content_type": "image/" + strings.Repeat("x", 249)},
		"empty is no check": {"checksum_sha256": "", "if_none_match": ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := map[string]any{"key": "k", "content_type": "image/png", "size": 1}
			maps.Copy(body, u)
			a, link := mustUpload(t, h, jsonOf(t, body))
			wantType, ok := map[any]string{ // the others are signed as they came
				"":                           "application/octet-stream",
				"text/plain; charset=utf-8":  "text/plain; charset=UTF-8",
				`text/plain;CHARSET="Utf-8"`: "text/plain; charset=UTF-8",
			}[body["content_type"]]
			if !ok {
				wantType, _ = body["content_type"].(string)
			}
			if a.Key != body["key"] || a.Headers["Content-Type"] != wantType {
				t.Errorf("the answer is for %q, %q", a.Key, a.Headers["Content-Type"])
			}
			if want := "/files/users/" + subject + "/" + a.Key; link.Path != want {
				t.Errorf("the URL is for %q, want %q", link.Path, want)
			}
		})
	}
}

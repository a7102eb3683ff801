package storage_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"cognito-token-handler/tokenhandler/web"
)

// FuzzKey tests that an accepted key names exactly the requested object, inside the
// user's folder, in every reading of the URL.
func FuzzKey(f *testing.F) {
	for _, seed := range []string{
		"a", "notes/a.json", "../x", "a/../../other/x", "..", "a//b", `..\x`, "%2e%2e/x", "%2e%2e%2fother", "a%00", "a\x00", "a?b#c", "a b+c",
		"soap", "日本", "e\u0301", "\u202e", "a/.", "....//", "~", "a:b@c", ";x=1", "&X-Amz-Expires=604800", "\xff", "\ufffd", "..\u2215x", "．．/x",
	} {
		f.Add(seed)
	}
	cfg := goodConfig(f)
	cfg.Site = newSite(io.Discard)
	h := mustNew(f, cfg, authority{subject: subject})
	const folder = "/files/users/" + subject + "/"
	f.Fuzz(func(t *testing.T, key string) {
		if !utf8.ValidString(key) {
			return // JSON cannot contain it; refusal_test.go has a case for invalid UTF-8
		}
		rec := send(t, h, http.MethodPost, "/storage/uploads", "application/json", jsonOf(t, map[string]any{"key": key, "content_type": "text/plain", "size": 1}))
		if rec.Code == http.StatusBadRequest {
			return
		}
		if rec.Code != http.StatusCreated {
			t.Fatalf("answered %d %s", rec.Code, rec.Body)
		}
		var a answered
		if err := json.Unmarshal(rec.Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(a.URL)
		if err != nil {
			t.Fatal(err)
		}
		if a.Key != key || u.Path != folder+key {
			t.Errorf("key %q became %q, the object %q", key, a.Key, u.Path)
		}
		if u.Host != "s3.example.com" || u.Fragment != "" || u.Query().Get("X-Amz-Expires") != "300" {
			t.Errorf("the key reached another part of the URL: %s", a.URL)
		}
		for reading, p := range map[string]string{"decoded": u.Path, "as sent": u.EscapedPath(), "backslashes turned": strings.ReplaceAll(u.Path, `\`, "/")} {
			if cleaned := path.Clean(p); cleaned != p || !strings.HasPrefix(cleaned, folder) || len(cleaned) == len(folder) {
				t.Errorf("%s: %q is cleaned to %q", reading, p, cleaned)
			}
		}
		// The key's percent signs must be escaped, so that decoding the path twice neither
		// fails nor names another object.
		if strings.Contains(key, "%") && !strings.Contains(u.EscapedPath(), "%25") {
			t.Errorf("the key's percent sign was not escaped: %s", u.EscapedPath())
		}
	})
}

// FuzzUploadBody tests that every body gets a documented response, and that a plain JSON
// decoder reads the same values from an accepted body.
func FuzzUploadBody(f *testing.F) {
	for _, seed := range []string{
		minimal, full, "", "{", "null", "[]", "{}", `{"key":"a"`, minimal + minimal, `{"key":"a","key":"b"}`, `{"size":1e400}`, `{"size":-0}`,
		`{"key":"\ud800","content_type":"a/b","size":1}`, `{"key":"\u002e\u002e/x","content_type":"a/b","size":1}`, `{"a":{"b":[[[[]]]]}}`,
		"{\"key\":\"\xff\"}", strings.Repeat("[", 5000), `{"content_type":"text/plain\u0000"}`, `{"key":"a","content_type":"a/b;c=\"d","size":1}`,
	} {
		f.Add(seed)
	}
	cfg := goodConfig(f)
	cfg.Site = newSite(io.Discard)
	h := mustNew(f, cfg, authority{subject: subject})
	f.Fuzz(func(t *testing.T, body string) {
		rec := send(t, h, http.MethodPost, "/storage/uploads", "application/json", body)
		switch rec.Code {
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			var problem struct {
				Code   web.Code `json:"code"`
				Detail string   `json:"detail"`
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &problem); err != nil || problem.Detail == "" {
				t.Errorf("the refusal is %q: %v", rec.Body, err)
			}
		case http.StatusCreated:
			checkAccepted(t, body, rec.Body.Bytes())
		default:
			t.Errorf("answered %d %s", rec.Code, rec.Body)
		}
	})
}

func checkAccepted(t *testing.T, body string, answerText []byte) {
	t.Helper()
	var asked struct {
		Key         string `json:"key"`
		ContentType string `json:"content_type"`
		Size        int64  `json:"size"`
	}
	if err := json.Unmarshal([]byte(body), &asked); err != nil {
		t.Fatalf("accepted what is no JSON: %v", err)
	}
	var a answered
	if err := json.Unmarshal(answerText, &a); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		t.Fatal(err)
	}
	if a.Key != asked.Key || asked.Size < 0 {
		t.Errorf("asked for %+v, got %+v", asked, a)
	}
	if a.Headers["Content-Type"] == "" {
		t.Error("the type is not signed")
	}
	wanted := "content-length;content-type;host"
	if asked.Size == 0 {
		wanted = "content-type;host"
	}
	if !strings.HasPrefix(u.Query().Get("X-Amz-SignedHeaders"), wanted) {
		t.Errorf("signed headers %q", u.Query().Get("X-Amz-SignedHeaders"))
	}
}

package storage_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
)

// listingS3 answers every list with the same text, and keeps what it was asked.
type listingS3 struct {
	answer string
	asked  []url.Values
}

func (s *listingS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.URL.Query())
	w.Header().Set("Content-Type", "application/xml")
	_, _ = fmt.Fprintf(w, `<ListBucketResult>%s</ListBucketResult>`, s.answer)
}

type objectsPage struct {
	Objects []struct {
		Key          string `json:"key"`
		Size         int64  `json:"size"`
		ETag         string `json:"etag"`
		LastModified string `json:"last_modified"`
	} `json:"objects"`
	Prefixes   []string `json:"prefixes"`
	NextCursor string   `json:"next_cursor"`
}

// TestListRefusesParameters: S3 is not asked for a list that leaves the folder, or that two
// servers could read differently.
func TestListRefusesParameters(t *testing.T) {
	s3 := &listingS3{}
	var log testkit.Log
	h := faultyS3(t, &log, s3)
	for name, query := range map[string]string{
		"dots": "prefix=../other/", "dot": "prefix=./", "up": "prefix=b/../../other/", "root": "prefix=/", "rooted": "prefix=/b", "empty segment": "prefix=b//c",
		"two slashes": "prefix=b//", "control": "prefix=a%00", "UTF-8": "prefix=%ff", "long": "prefix=" + strings.Repeat("k", 901), "backslash": `prefix=..%5Cb`,
		"delimiter": "delimiter=b", "limit 0": "limit=0", "limit over": "limit=1001", "limit text": "limit=x", "limit below": "limit=-1", "limit wraps": "limit=4294967297",
		"two prefixes": "prefix=a&prefix=b", "two delimiters": "delimiter=/&delimiter=/", "two limits": "limit=1&limit=2", "two cursors": "cursor=a&cursor=b",
		"cursor": "cursor=made-up",
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, h, http.MethodGet, "/storage/objects?"+query, "", http.StatusBadRequest, "invalid_request")
		})
	}
	if len(s3.asked) != 0 {
		t.Errorf("S3 was asked %v", s3.asked)
	}
}

// TestPagesOfAList follows the cursor of a list to its second page. It works for nobody else,
// and for no other list.
func TestPagesOfAList(t *testing.T) {
	s3 := &listingS3{answer: `<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>planted-token</NextContinuationToken>` +
		`<Contents><Key>users/0f9e-sub/d/a</Key><Size>7</Size><ETag>"1"</ETag><LastModified>2026-03-04T13:00:00+01:00</LastModified></Contents>`}
	cfg := goodConfig(t)
	cfg.HTTPClient = inProcess{s3}
	h, other := mustNew(t, cfg, authority{subject: subject}), mustNew(t, cfg, authority{subject: "other-sub"})
	const query = "/storage/objects?prefix=d/&delimiter=/&limit=2&unknown=1"
	first := answerOf[objectsPage](t, h, http.MethodGet, query, "", http.StatusOK)
	if len(first.Objects) != 1 || first.NextCursor == "" || strings.Contains(first.NextCursor, "planted") {
		t.Fatalf("%+v", first)
	}
	if o := first.Objects[0]; o.Key != "d/a" || o.Size != 7 || o.ETag != `"1"` || o.LastModified != "2026-03-04T12:00:00Z" {
		t.Errorf("%+v", o)
	}
	s3.answer = `<IsTruncated>false</IsTruncated><NextContinuationToken>ignored</NextContinuationToken>`
	last := answerOf[objectsPage](t, h, http.MethodGet, query+"&cursor="+first.NextCursor, "", http.StatusOK)
	if last.NextCursor != "" || last.Objects == nil || last.Prefixes == nil {
		t.Errorf("%+v", last)
	}
	for i, token := range []string{"", "planted-token"} {
		asked := s3.asked[i]
		if asked.Get("continuation-token") != token || asked.Get("prefix") != "users/0f9e-sub/d/" || asked.Get("delimiter") != "/" || asked.Get("max-keys") != "2" || asked.Get("encoding-type") != "url" {
			t.Errorf("page %d: S3 was asked %v", i+1, asked)
		}
	}
	for name, c := range map[string]struct {
		h     http.Handler
		query string
	}{
		"of another user":      {other, "?prefix=d/&delimiter=/"},
		"of another prefix":    {h, "?prefix=d&delimiter=/"},
		"of no prefix":         {h, "?delimiter=/"},
		"of another delimiter": {h, "?prefix=d/"},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, c.h, http.MethodGet, "/storage/objects"+c.query+"&cursor="+first.NextCursor, "", http.StatusBadRequest, "invalid_request")
		})
	}
	if len(s3.asked) != 2 {
		t.Errorf("S3 was asked %d times", len(s3.asked))
	}
}

// TestListOfAServerThatEncodesNothing: not every server knows the parameter encoding-type. Its
// keys are taken as they are.
func TestListOfAServerThatEncodesNothing(t *testing.T) {
	var log testkit.Log
	h := faultyS3(t, &log, &listingS3{answer: `<Contents><Key>users/0f9e-sub/a+b%41</Key></Contents>`})
	if page := answerOf[objectsPage](t, h, http.MethodGet, "/storage/objects", "", http.StatusOK); len(page.Objects) != 1 || page.Objects[0].Key != "a+b%41" {
		t.Errorf("%+v", page)
	}
}

// TestListRefusesForeignFolders is [TestListRefusesForeignKeys] for common prefixes.
func TestListRefusesForeignFolders(t *testing.T) {
	var log testkit.Log
	h := faultyS3(t, &log, &listingS3{answer: `<CommonPrefixes><Prefix>users/0f9e-sub/a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>users/other/</Prefix></CommonPrefixes>`})
	wantCode(t, h, http.MethodGet, "/storage/objects?delimiter=/", "", http.StatusBadGateway, "upstream_error")
}

// TestHeadOfAnObject: a script gets all that S3 knows of an object, and nothing that it does
// not know.
func TestHeadOfAnObject(t *testing.T) {
	stored := map[string]string{
		"Content-Length": "7", "Content-Type": "text/plain", "Etag": `"1"`, "Content-Disposition": "inline", "Cache-Control": "max-age=60",
		"X-Amz-Checksum-Sha256": "s", "X-Amz-Checksum-Crc32": "c", "X-Amz-Checksum-Crc32c": "cc", "X-Amz-Checksum-Crc64nvme": "n", "X-Amz-Checksum-Type": "FULL_OBJECT",
		"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "k", "X-Amz-Meta-Author": "me",
		"Last-Modified": "Wed, 04 Mar 2026 12:00:00 GMT",
	}
	header := ask(t, withObject(t, stored), http.MethodHead, "/storage/objects/a", "").Header()
	stored["X-Object-Cache-Control"], stored["Cache-Control"] = stored["Cache-Control"], "no-store"
	for name, want := range stored {
		if got := header[http.CanonicalHeaderKey(name)]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	header = ask(t, withObject(t, map[string]string{"Content-Length": "0"}), http.MethodHead, "/storage/objects/a", "").Header()
	for name := range stored {
		if got, found := header[http.CanonicalHeaderKey(name)]; found && name != "Content-Length" && name != "Cache-Control" {
			t.Errorf("without that in S3's answer, %s is %q", name, got)
		}
	}
}

// TestHeadAsksForChecksums: GET does not, because it would need the right to decrypt.
func TestHeadAsksForChecksums(t *testing.T) {
	var log testkit.Log
	var mode string
	h := faultyS3(t, &log, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { mode = r.Header.Get("X-Amz-Checksum-Mode") }))
	for method, want := range map[string]string{http.MethodHead: "ENABLED", http.MethodGet: ""} {
		if ask(t, h, method, "/storage/objects/a", ""); mode != want {
			t.Errorf("%s: the mode is %q, want %q", method, mode, want)
		}
	}
}

// TestConditionsOfHead evaluates If-Match and If-None-Match for an object with the ETag "1".
func TestConditionsOfHead(t *testing.T) {
	h := withObject(t, map[string]string{"Etag": `"1"`, "Content-Type": "text/plain"})
	for name, c := range map[string]struct {
		headers []string
		status  int
	}{
		"none":               {nil, 200},
		"match":              {[]string{"If-Match", `"1"`}, 200},
		"match any":          {[]string{"If-Match", `*`}, 200},
		"match in a list":    {[]string{"If-Match", `"0" , "1"`}, 200},
		"match in two lines": {[]string{"If-Match", `"0"`, "If-Match", `"1"`}, 200},
		"match another":      {[]string{"If-Match", `"0"`}, 412},
		"match weakly":       {[]string{"If-Match", `W/"1"`}, 412},
		"none match":         {[]string{"If-None-Match", `"0"`}, 200},
		"none match this":    {[]string{"If-None-Match", `"1"`}, 304},
		"none match weakly":  {[]string{"If-None-Match", `W/"1"`}, 304},
		"none match any":     {[]string{"If-None-Match", `*`}, 304},
		"both hold":          {[]string{"If-Match", `"1"`, "If-None-Match", `"0"`}, 200},
		"second fails":       {[]string{"If-Match", `"1"`, "If-None-Match", `"1"`}, 304},
		"first fails":        {[]string{"If-Match", `"0"`, "If-None-Match", `"1"`}, 412},
	} {
		t.Run(name, func(t *testing.T) {
			rec := ask(t, h, http.MethodHead, "/storage/objects/a", "", c.headers...)
			if rec.Code != c.status {
				t.Errorf("%d, want %d", rec.Code, c.status)
			}
			if rec.Code == http.StatusNotModified && (rec.Header().Get("ETag") != `"1"` || rec.Header().Get("Content-Length") != "") {
				t.Errorf("304 with %v", rec.Header())
			}
		})
	}
}

// TestExposedHeadersAreNamedOnce: a name that the service exposes to other origins anyway is
// not there twice.
func TestExposedHeadersAreNamedOnce(t *testing.T) {
	h := withObject(t, map[string]string{"X-Amz-Meta-Author": "me", "Etag": `"1"`})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/storage/objects/a", http.NoBody)
	r.Header.Set("Sec-Fetch-Site", "same-site")
	r.Header.Set("Origin", otherOrigin)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	seen := map[string]bool{}
	for name := range strings.SplitSeq(rec.Header().Get("Access-Control-Expose-Headers"), ", ") {
		if seen[name] {
			t.Errorf("%s is exposed twice", name)
		}
		seen[name] = true
	}
	if !seen["Etag"] && !seen["ETag"] || !seen["X-Amz-Meta-Author"] {
		t.Errorf("exposed are %v", seen)
	}
}

// TestDownloadLink: a page can ask for the URL itself, and for nothing between that and a
// redirect.
func TestDownloadLink(t *testing.T) {
	h := withObject(t, map[string]string{"Content-Type": "text/plain"})
	link := answerOf[struct {
		URL       string `json:"url"`
		ExpiresAt string `json:"expires_at"`
	}](t, h, http.MethodGet, "/storage/objects/a?redirect=false", "", http.StatusOK)
	if !strings.HasPrefix(link.URL, "https://s3.example.com/files/users/0f9e-sub/a?") || link.ExpiresAt != "2026-03-04T12:05:00Z" {
		t.Errorf("%+v", link)
	}
	signedGet(t, h, "/storage/objects/a?redirect=true")
	for _, query := range []string{"redirect=maybe", "redirect=", "redirect=true&redirect=true", "download=a&download=b"} {
		wantCode(t, h, http.MethodGet, "/storage/objects/a?"+query, "", http.StatusBadRequest, "invalid_request")
	}
}

// untouchableS3 fails the test if it is called.
func untouchableS3(t *testing.T) *storage.Handler {
	t.Helper()
	var log testkit.Log
	return faultyS3(t, &log, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("S3 got %s %s", r.Method, r.URL) }))
}

// TestBadKeysAreNotAskedFor: each operation checks its keys itself.
func TestBadKeysAreNotAskedFor(t *testing.T) {
	h := untouchableS3(t)
	for _, key := range []string{"", "a%2F%2Fb", "..%2Fother-sub%2Fa", "a%00", `a%5Cb`} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
			wantCode(t, h, method, "/storage/objects/"+key, "", http.StatusBadRequest, "invalid_request")
		}
		wantCode(t, h, http.MethodDelete, "/storage/objects/"+key+"%2F?recursive=true", "", http.StatusBadRequest, "invalid_request")
	}
	for _, body := range []string{
		`{"from":"a//b","to":"c"}`, `{"from":"a","to":"../c"}`, `{"from":"a"}`, `{"to":"a"}`, `{"from":"a","to":"a"}`,
		`{"from":"a","to":"b","if_none_match":"\"1\""}`, `{"from":"a","to":"b","if_match":"*"}`, `{"from":"a","to":"b"`,
	} {
		wantCode(t, h, http.MethodPost, "/storage/copies", body, http.StatusBadRequest, "invalid_request")
	}
}

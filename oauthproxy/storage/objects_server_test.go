//go:build e2e

package storage_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cognito-token-handler/test/s3local"
)

type listedObject struct {
	Key          string    `json:"key"`
	Size         int64     `json:"size"`
	ETag         string    `json:"etag"`
	LastModified time.Time `json:"last_modified"`
}

type page struct {
	Objects    []listedObject `json:"objects"`
	Prefixes   []string       `json:"prefixes"`
	NextCursor string         `json:"next_cursor"`
}

func (p page) keys() []string {
	keys := []string{}
	for _, o := range p.Objects {
		keys = append(keys, o.Key)
	}
	return keys
}

func objectPath(key string) string { return "/storage/objects/" + url.PathEscape(key) }

// fill stores objects in the bucket, full key → content.
func fill(t *testing.T, server *s3local.Server, keys ...string) {
	t.Helper()
	for _, key := range keys {
		_, err := server.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &server.Bucket, Key: &key, Body: strings.NewReader("content of " + key)})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestServerLists(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	var keys []string
	for _, key := range []string{"a.txt", "b/1", "b/2", "b/c/3", "ünï/x y+z%20", "z"} {
		keys = append(keys, "users/user-a/"+key)
	}
	fill(t, server, append(keys, "users/user-b/secret", "users/user-ab/secret", "users/x")...)
	for name, c := range map[string]struct {
		query          string
		keys, prefixes []string
	}{
		"all":       {"", []string{"a.txt", "b/1", "b/2", "b/c/3", "z", "ünï/x y+z%20"}, nil},
		"delimiter": {"?delimiter=/", []string{"a.txt", "z"}, []string{"b/", "ünï/"}},
		"folder":    {"?prefix=b/&delimiter=%2F", []string{"b/1", "b/2"}, []string{"b/c/"}},
		"part":      {"?prefix=ün", []string{"ünï/x y+z%20"}, nil},
		"nothing":   {"?prefix=nothing/", nil, nil},
		"unknown":   {"?prefix=a.t&t=123", []string{"a.txt"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := answerOf[page](t, h, http.MethodGet, "/storage/objects"+c.query, "", 200)
			slices.Sort(got.Prefixes)
			if diff := cmp.Diff([2][]string{c.keys, c.prefixes}, [2][]string{got.keys(), got.Prefixes}, cmpopts.EquateEmpty()); diff != "" || got.NextCursor != "" {
				t.Errorf("cursor %q\n%s", got.NextCursor, diff)
			}
			for _, o := range got.Objects {
				if want := int64(len("content of users/user-a/" + o.Key)); o.Size != want || !strings.HasPrefix(o.ETag, `"`) || time.Since(o.LastModified) > time.Minute {
					t.Errorf("%+v, want the size %d", o, want)
				}
			}
		})
	}
	for name, query := range map[string]string{
		"dots": "?prefix=../user-b/", "dot": "?prefix=./", "up": "?prefix=b/../../user-b/", "root": "?prefix=/", "rooted": "?prefix=/b", "empty segment": "?prefix=b//c",
		"control": "?prefix=a%00", "UTF-8": "?prefix=%ff", "long": "?prefix=" + strings.Repeat("k", 901), "backslash": "?prefix=..%5Cuser-b",
		"delimiter": "?delimiter=b", "limit 0": "?limit=0", "limit": "?limit=1001", "limit text": "?limit=x", "negative": "?limit=-1",
		"repeated": "?prefix=a&prefix=b", "cursor": "?cursor=made-up", "token": "?cursor=users%2Fuser-b%2F",
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			wantCode(t, h, http.MethodGet, "/storage/objects"+query, "", 400, "invalid_request")
		})
	}
	t.Run("HEAD", func(t *testing.T) {
		if rec := ask(t, h, http.MethodHead, "/storage/objects", ""); rec.Code != 200 || rec.Body.Len() > 0 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	})
}

// A cursor works for the user and the list that it was made for, and for nothing else.
func TestServerBindsCursors(t *testing.T) {
	server := startServer(t)
	cfg := configAt(t, server, 0)
	h := mustNew(t, cfg, authority{subject: "user-a"})
	other := mustNew(t, cfg, authority{subject: "user-b"})
	var want []string
	for i := range 7 {
		key := fmt.Sprintf("d/%d", i)
		want = append(want, key)
		fill(t, server, "users/user-a/"+key, "users/user-b/"+key)
	}
	var got []string
	query := "?prefix=d/&limit=3"
	first := answerOf[page](t, h, http.MethodGet, "/storage/objects"+query, "", 200)
	for p := first; ; p = answerOf[page](t, h, http.MethodGet, "/storage/objects"+query+"&cursor="+p.NextCursor, "", 200) {
		if got = append(got, p.keys()...); p.NextCursor == "" {
			break
		}
		if len(p.Objects) != 3 || strings.Contains(p.NextCursor, "d/") {
			t.Errorf("a page of %d, cursor %q", len(p.Objects), p.NextCursor)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	cursor := first.NextCursor
	for name, c := range map[string]struct {
		h     http.Handler
		query string
	}{
		"of another user":      {other, "?prefix=d/&cursor=" + cursor},
		"of another prefix":    {h, "?prefix=d&cursor=" + cursor},
		"of no prefix":         {h, "?cursor=" + cursor},
		"of another delimiter": {h, "?prefix=d/&delimiter=/&cursor=" + cursor},
		"cut":                  {h, "?prefix=d/&cursor=" + cursor[:len(cursor)-1]},
		"cut at the start":     {h, "?prefix=d/&cursor=" + cursor[1:]},
		"longer":               {h, "?prefix=d/&cursor=" + cursor + "A"},
		"changed":              {h, "?prefix=d/&cursor=" + swapLast(cursor)},
		"too long":             {h, "?prefix=d/&cursor=" + strings.Repeat("A", 20_000)},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, c.h, http.MethodGet, "/storage/objects"+c.query, "", 400, "invalid_request")
		})
	}
}

func swapLast(text string) string {
	i := len(text) / 2
	return text[:i] + string(rune('A'+(text[i]+1)%26)) + text[i+1:]
}

func TestServerGivesBackWhatWasStored(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	body := note(t, map[string]any{
		"key": "notes/ä b.json", "metadata": map[string]string{"author": "me  too", "page": "2"}, "cache_control": "max-age=60",
		"content_disposition": `attachment; filename="n.json"`, "checksum_sha256": checksum(noteText), "content_type": "text/plain;charset=utf-8",
	})
	if status, code := do(t, presigned(t, h, body, noteText)); status != http.StatusOK {
		t.Fatal(status, code)
	}
	path := objectPath("notes/ä b.json")
	head := ask(t, h, http.MethodHead, path, "")
	if head.Code != http.StatusOK || head.Body.Len() > 0 {
		t.Fatalf("HEAD: %d %s", head.Code, head.Body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/plain; charset=UTF-8", "Content-Length": fmt.Sprint(len(noteText)), "X-Amz-Meta-Author": "me  too", "X-Amz-Meta-Page": "2",
		"X-Object-Cache-Control": "max-age=60", "Cache-Control": "no-store", "Content-Disposition": `attachment; filename="n.json"`,
		"X-Amz-Checksum-Sha256": checksum(noteText), "Set-Cookie": "session=renewed",
	} {
		if got := head.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	etag := head.Header().Get("ETag")
	if modified, err := http.ParseTime(head.Header().Get("Last-Modified")); err != nil || time.Since(modified) > time.Minute || !strings.HasPrefix(etag, `"`) {
		t.Errorf("%s, %v, %s", modified, err, etag)
	}
	for name, c := range map[string]struct {
		header, value string
		status        int
	}{
		"match":             {"If-Match", etag, 200},
		"match any":         {"If-Match", "*", 200},
		"match in a list":   {"If-Match", `"x", ` + etag, 200},
		"match another":     {"If-Match", `"x"`, 412},
		"match weakly":      {"If-Match", "W/" + etag, 412},
		"none match":        {"If-None-Match", etag, 304},
		"none match weakly": {"If-None-Match", "W/" + etag, 304},
		"none match any":    {"If-None-Match", "*", 304},
		"none match other":  {"If-None-Match", `"x"`, 200},
	} {
		t.Run("HEAD, "+name, func(t *testing.T) {
			if rec := ask(t, h, http.MethodHead, path, "", c.header, c.value); rec.Code != c.status {
				t.Errorf("%d, want %d", rec.Code, c.status)
			}
		})
	}
	t.Run("GET", func(t *testing.T) {
		rec := ask(t, h, http.MethodGet, path, "", "If-None-Match", etag) // it is for S3, where the redirect leads
		if rec.Code != http.StatusTemporaryRedirect || rec.Body.Len() > 0 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		got := fetch(t, rec.Header().Get("Location"))
		if got.body != noteText || got.header.Get("Content-Type") != "text/plain; charset=UTF-8" || got.header.Get("Content-Disposition") != `attachment; filename="n.json"` {
			t.Errorf("%q, %v", got.body, got.header)
		}
		if part := fetch(t, rec.Header().Get("Location"), "Range", "bytes=2-5"); part.status != http.StatusPartialContent || part.body != noteText[2:6] {
			t.Errorf("a range: %d %q", part.status, part.body)
		}
	})
	t.Run("GET without a redirect", func(t *testing.T) {
		asked := time.Now()
		got := answerOf[struct {
			URL       string    `json:"url"`
			ExpiresAt time.Time `json:"expires_at"`
		}](t, h, http.MethodGet, path+"?redirect=false", "", 200)
		if from := got.ExpiresAt.Sub(asked); fetch(t, got.URL).body != noteText || time.Until(got.ExpiresAt) > time.Minute || from < 58*time.Second {
			t.Errorf("%+v", got)
		}
	})
	for _, path := range []string{path + "?redirect=no", path + "?download=a%2Fb", path + "?download=a%0Ab", path + "?download=%ff", path + "?download=" + strings.Repeat("x", 256), path + "?download=a&download=b"} {
		wantCode(t, h, http.MethodGet, path, "", 400, "invalid_request")
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
		wantCode(t, h, method, "/storage/objects/nothing", "", 404, "not_found")
		wantCode(t, h, method, "/storage/objects/", "", 400, "invalid_request")
		wantCode(t, h, method, "/storage/objects/notes/", "", 400, "invalid_request")
		wantCode(t, h, method, "/storage/objects/notes", "", 404, "not_found")
		wantCode(t, handlerAt(t, server, "user-b", 0), method, path, "", 404, "not_found")
	}
}

type fetched struct {
	status int
	header http.Header
	body   string
}

func fetch(t *testing.T, link string, headers ...string) fetched {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return roundTrip(t, r)
}

func TestServerDeletes(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	fill(t, server, "users/user-a/x", "users/user-a/d/1", "users/user-b/x")
	etag := ask(t, h, http.MethodHead, "/storage/objects/x", "").Header().Get("ETag")
	wantCode(t, h, http.MethodDelete, "/storage/objects/x", "", 412, "precondition_failed", "If-Match", `"another"`)
	wantCode(t, h, http.MethodDelete, "/storage/objects/x", "", 412, "precondition_failed", "If-None-Match", "*")
	wantCode(t, h, http.MethodDelete, "/storage/objects/x?recursive=true", "", 400, "invalid_request")
	wantCode(t, h, http.MethodDelete, "/storage/objects/d/", "", 400, "invalid_request")
	wantCode(t, h, http.MethodDelete, "/storage/objects/?recursive=true", "", 400, "invalid_request")
	wantCode(t, h, http.MethodDelete, "/storage/objects/../user-b/?recursive=true", "", 400, "invalid_request")
	wantCode(t, h, http.MethodDelete, "/storage/objects/d/?recursive=true", "", 400, "invalid_request", "If-Match", "*")
	wantCode(t, h, http.MethodDelete, "/storage/objects/gone", "", 404, "not_found", "If-Match", "*")
	if rec := ask(t, h, http.MethodDelete, "/storage/objects/x", "", "If-Match", etag); rec.Code != http.StatusNoContent || rec.Body.Len() > 0 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := ask(t, h, http.MethodDelete, "/storage/objects/d/1", ""); rec.Code != http.StatusNoContent {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if got := keysOf(t, server); len(got) != 1 || got[0] != "users/user-b/x" {
		t.Errorf("left are %q", got)
	}
}

// A folder of more than one step is deleted step by step, whoever interrupts it.
func TestServerDeletesFolders(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	const many = 1030
	for i := range many {
		fill(t, server, fmt.Sprintf("users/user-a/d/%04d", i))
	}
	fill(t, server, "users/user-a/d2/kept", "users/user-a/kept", "users/user-b/d/kept")
	type deleted struct {
		Deleted int
		More    bool
	}
	const path = "/storage/objects/d/?recursive=true"
	for i, want := range []deleted{{1000, true}, {many - 1000, false}, {0, false}} {
		if got := answerOf[deleted](t, h, http.MethodDelete, path, "", 200); got != want {
			t.Errorf("step %d: %+v, want %+v", i, got, want)
		}
	}
	if diff := cmp.Diff([]string{"users/user-a/d2/kept", "users/user-a/kept", "users/user-b/d/kept"}, keysOf(t, server)); diff != "" {
		t.Error(diff)
	}
}

func keysOf(t *testing.T, server *s3local.Server) []string {
	t.Helper()
	var keys []string
	pages := s3.NewListObjectsV2Paginator(server.Client(), &s3.ListObjectsV2Input{Bucket: &server.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range page.Contents {
			keys = append(keys, *object.Key)
		}
	}
	return keys
}

package storage_test

import (
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
)

// withObject returns a handler whose bucket has one object at every key.
func withObject(t *testing.T, header map[string]string) *storage.Handler {
	t.Helper()
	var log testkit.Log
	return faultyS3(t, &log, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
	}))
}

// signedGet returns the query of the presigned URL to which h redirects.
func signedGet(t *testing.T, h http.Handler, path string) url.Values {
	t.Helper()
	rec := send(t, h, http.MethodGet, path, "", "")
	link, err := url.Parse(rec.Header().Get("Location"))
	if err != nil || rec.Code != http.StatusTemporaryRedirect {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	return link.Query()
}

// What a browser would run on the bucket's origin is downloaded, with its own type, so
// that an SVG still works in an <img>. What is shown has no other type than was signed.
func TestDownloadTypes(t *testing.T) {
	for stored, shown := range map[string]bool{
		"image/png": true, "image/jpeg": true, "audio/mpeg": true, "video/mp4": true, "text/plain": true, "text/plain; charset=UTF-8": true, "IMAGE/PNG": true,
		"text/html": false, "image/svg+xml": false, "text/xml": false, "application/xml": false, "application/xhtml+xml": false, "application/pdf": false,
		"text/javascript": false, "application/javascript": false, "application/json": false, "application/octet-stream": false, "text/css": false,
		"text/html; x=image/png": false, "image/svg+xml;charset=utf-8": false, "video/foo+xml": false, "unknown/unknown": false, "multipart/x-mixed-replace": false,
		"application/x-shockwave-flash": false, "text/plain, text/html": false, "message/rfc822": false, "font/woff2": false, "text/plain;": true,
	} {
		t.Run(stored, func(t *testing.T) {
			query := signedGet(t, withObject(t, map[string]string{"Content-Type": stored}), "/storage/objects/a")
			kind, _, err := mime.ParseMediaType(query.Get("response-content-disposition"))
			if want := map[bool]string{true: "inline", false: "attachment"}[shown]; err != nil || kind != want || query.Get("response-content-type") != stored {
				t.Errorf("%s as %s, want %s: %v", query.Get("response-content-type"), kind, want, err)
			}
		})
	}
	for _, stored := range []string{"", "html", "text/ä", "a/b\x01"} { // not stored by this service
		query := signedGet(t, withObject(t, map[string]string{"Content-Type": stored}), "/storage/objects/a")
		if got := query.Get("response-content-type"); got != "application/octet-stream" || !strings.HasPrefix(query.Get("response-content-disposition"), "attachment") {
			t.Errorf("%q became %q", stored, got)
		}
	}
}

// The name of a download is put together anew. Whatever it was made of, it is one
// disposition with one name.
func TestDownloadNames(t *testing.T) {
	for name, c := range map[string]struct{ path, stored, want string }{
		"of the key":      {"/storage/objects/a/b.txt", "", `inline; filename="b.txt"`},
		"asked for":       {"/storage/objects/a?download=b.txt", "", `attachment; filename="b.txt"`},
		"its own":         {"/storage/objects/a/b.txt?download=", "", `attachment; filename="b.txt"`},
		"stored":          {"/storage/objects/a", `attachment; filename="c.txt"`, `attachment; filename="c.txt"`},
		"stored, inline":  {"/storage/objects/a", `inline; filename*=UTF-8''%C3%A4`, `inline; filename="_"; filename*=UTF-8''%C3%A4`},
		"stored, asked":   {"/storage/objects/a?download=b", `inline; filename="c.txt"`, `attachment; filename="b"`},
		"stored, broken":  {"/storage/objects/a", `attachment; filename="`, `inline; filename="a"`},
		"stored, header":  {"/storage/objects/a", `x"; y`, `inline; filename="a"`},
		"wide":            {"/storage/objects/%C3%A4%20%E2%82%AC.txt", "", `inline; filename="_ _.txt"; filename*=UTF-8''%C3%A4%20%E2%82%AC.txt`},
		"quotes":          {"/storage/objects/a%22%3B%20filename=evil.exe", "", `inline; filename="a_; filename=evil.exe"`},
		"percent":         {"/storage/objects/100%25%2041", "", `inline; filename="100_ 41"; filename*=UTF-8''100%25%2041`},
		"direction":       {"/storage/objects/%E2%80%AEgpj.exe", "", `inline; filename="_gpj.exe"`},
		"for a file":      {"/storage/objects/a:b%3Fc*d", "", `inline; filename="a_b_c_d"`},
		"UTF-8 of 4 byte": {"/storage/objects/%F0%9F%93%B7", "", `inline; filename="_"; filename*=UTF-8''%F0%9F%93%B7`},
	} {
		t.Run(name, func(t *testing.T) {
			header := map[string]string{"Content-Type": "text/plain", "Content-Disposition": c.stored}
			if got := signedGet(t, withObject(t, header), c.path).Get("response-content-disposition"); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func FuzzDownloadName(f *testing.F) {
	for _, seed := range []string{"a", `"; filename="x`, "ä", "%", "\u202e", "a\\b", "'", "a;b=c", "\xff", " ", "€rates"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, name, stored string) {
		h := withObject(t, map[string]string{"Content-Type": "text/plain", "Content-Disposition": stored})
		rec := send(t, h, http.MethodGet, "/storage/objects/k?download="+url.QueryEscape(name), "", "")
		if rec.Code == http.StatusBadRequest {
			return
		}
		link, err := url.Parse(rec.Header().Get("Location"))
		if err != nil || rec.Code != http.StatusTemporaryRedirect {
			t.Fatal(rec.Code, err)
		}
		disposition := link.Query().Get("response-content-disposition")
		kind, params, err := mime.ParseMediaType(disposition)
		if err != nil || kind != "attachment" || len(params) != 1 || strings.ContainsAny(params["filename"], "/\\\"\r\n") || len(disposition) > 4*(255+20) {
			t.Errorf("%q, %q: %s: %v", name, stored, disposition, err)
		}
	})
}

// Pages of an allowed origin may call every endpoint, and read the headers of a HEAD.
func TestAllowedOrigins(t *testing.T) {
	h := withObject(t, map[string]string{"X-Amz-Meta-Author": "me", "Etag": `"abc"`})
	for _, method := range []string{http.MethodHead, http.MethodGet, http.MethodDelete, http.MethodOptions} {
		r := httptest.NewRequestWithContext(t.Context(), method, "/storage/objects/a", http.NoBody)
		r.Header.Set("Sec-Fetch-Site", "same-site")
		r.Header.Set("Origin", otherOrigin)
		if method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", http.MethodDelete)
			r.Header.Set("Access-Control-Request-Headers", "if-match,x-expected-sub")
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		header := rec.Header()
		if header.Get("Access-Control-Allow-Origin") != otherOrigin || header.Get("Access-Control-Allow-Credentials") != "true" || rec.Code >= 400 {
			t.Errorf("%s: %d %v", method, rec.Code, header)
		}
		exposed := header.Get("Access-Control-Expose-Headers")
		if method == http.MethodHead && (!strings.Contains(exposed, "X-Amz-Meta-Author") || !strings.Contains(exposed, "Content-Length")) {
			t.Errorf("HEAD exposes %s", exposed)
		}
		if method == http.MethodOptions && (!strings.Contains(header.Get("Access-Control-Allow-Methods"), "DELETE") || header.Get("Access-Control-Allow-Headers") != "if-match,x-expected-sub") {
			t.Errorf("preflight: %v", header)
		}
	}
	if got := send(t, h, http.MethodHead, "/storage/objects/a", "", "").Header().Get("Access-Control-Expose-Headers"); got != "" {
		t.Errorf("to its own origin: %q", got)
	}
}

// Names that could be a path, or no name at all, are refused before S3 is asked.
func TestDownloadRefusesNames(t *testing.T) {
	h := withObject(t, nil)
	for _, name := range []string{"../a", `a\b`, "a\nb", "a\x7fb", "\xff", strings.Repeat("x", 256)} {
		wantCode(t, h, http.MethodGet, "/storage/objects/a?download="+url.QueryEscape(name), "", http.StatusBadRequest, "invalid_request")
	}
	signedGet(t, h, "/storage/objects/a?download="+strings.Repeat("x", 255))
}

//go:build e2e

package browser_test

import (
	"bytes"
	_ "embed"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/page"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
)

//go:embed testdata/storage.js
var storageScript string

// TestFolder uses the user's folder with all that a browser has.
func TestFolder(t *testing.T) {
	w := newWorld(t, devstack.Options{})
	tab := w.tab()
	tab.open("/")
	tab.login(cognitolocal.DemoUser)
	// While DevTools pauses answers, Chromium sends no Origin after a redirect.
	must(tab, fetch.Disable, cdp.Empty{})
	run[any](tab, storageScript+";true")
	w.uploadInEveryWay(tab)
	w.followRedirects(tab)
	w.openStoredPages(tab)
}

// put stores an object in the demo user's folder, past the token handler.
func (w *world) put(key, contentType string, content []byte) {
	w.t.Helper()
	_, err := w.stack.S3.Client().PutObject(w.t.Context(), &s3.PutObjectInput{
		Bucket: &w.stack.S3.Bucket, Key: aws.String(w.demoFolder() + key), ContentType: &contentType, Body: bytes.NewReader(content),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) demoFolder() string { return "users/" + w.sub(cognitolocal.DemoUser) + "/" }

// typesOfUploads are content types in the spellings that apps write, and the type that must be stored.
func typesOfUploads() [][2]string {
	return [][2]string{
		{"text/plain", "text/plain"},
		{"text/plain;charset=utf-8", "text/plain; charset=UTF-8"},
		{"text/plain; charset=utf-8", "text/plain; charset=UTF-8"},
		{"text/plain;charset=UTF-8", "text/plain; charset=UTF-8"},
		{`text/plain; charset="utf-8"`, "text/plain; charset=UTF-8"},
		{"Text/Plain; Charset=Utf-8", "text/plain; charset=UTF-8"},
		{"text/plain; format=flowed; charset=utf-8", "text/plain; charset=UTF-8; format=flowed"},
		{"application/json;charset=utf-8", "application/json; charset=UTF-8"},
		{"application/json", "application/json"},
		{"IMAGE/SVG+XML", "IMAGE/SVG+XML"},
		{"application/x-www-form-urlencoded;charset=UTF-8", "application/x-www-form-urlencoded; charset=UTF-8"},
		{"", "application/octet-stream"},
		{"text/plain; charset=iso-8859-1", "text/plain; charset=iso-8859-1"},
	}
}

// uploadInEveryWay uploads strings, blobs and bytes with fetch and with XMLHttpRequest. The signed type is the one that the browser
// sends, or S3 would refuse the upload.
func (w *world) uploadInEveryWay(tab *tab) {
	t := w.t
	t.Helper()
	cases := typesOfUploads()
	asked := []string{}
	for _, c := range cases {
		asked = append(asked, c[0])
	}
	outcomes := run[map[string]upload](tab, fmt.Sprintf("folder.uploads(%s, 'q=Größe')", describe(asked)))
	if len(outcomes) != 2*5*len(cases) {
		t.Errorf("%d uploads", len(outcomes))
	}
	for way, outcome := range outcomes {
		c := cases[outcome.Number]
		outcome.Number = 0
		want := upload{Status: http.StatusOK, Type: c[1]}
		if strings.HasSuffix(c[1], "iso-8859-1") && (strings.HasPrefix(way, "xhr/string/") || strings.HasPrefix(way, "xhr/form ")) {
			want.Status = http.StatusForbidden // XMLHttpRequest sends text as UTF-8 and says so, which was not asked for
		}
		if outcome != want {
			t.Errorf("%s with %q: %+v, want %+v", way, c[0], outcome, want)
		} else if content, contentType := w.stored("types/" + way); want.Status == http.StatusOK && (!strings.HasPrefix(content, "q=Gr") || contentType != c[1]) {
			t.Errorf("%s with %q stored %q as %q", way, c[0], content, contentType)
		}
	}
	if statuses := run[[]int](tab, "folder.empty()"); !slices.Equal(statuses, []int{200, 200, 200, 400}) {
		t.Errorf("empty files, and one that is not empty: %v", statuses)
	}
	if content, contentType := w.stored("empty"); content != "" || contentType != "application/octet-stream" {
		t.Errorf("the empty file is %q, %s", content, contentType)
	}
}

// upload is the outcome of one upload: the status, the type that was signed, and which of the types was asked for.
type upload struct {
	Status int
	Type   string
	Number int
}

// stored returns an object of the demo user's folder and its content type.
func (w *world) stored(key string) (content, contentType string) {
	w.t.Helper()
	full := w.demoFolder() + key
	found, err := w.stack.S3.Client().HeadObject(w.t.Context(), &s3.HeadObjectInput{Bucket: &w.stack.S3.Bucket, Key: &full})
	if err != nil {
		return "", ""
	}
	return w.object(full), aws.ToString(found.ContentType)
}

// allowHeaders sets the request headers that the bucket's CORS rule allows.
func (w *world) allowHeaders(names ...string) {
	w.t.Helper()
	_, err := w.stack.S3.Client().PutBucketCors(w.t.Context(), &s3.PutBucketCorsInput{
		Bucket: &w.stack.S3.Bucket,
		CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{{
			AllowedOrigins: []string{w.stack.URL}, AllowedMethods: []string{http.MethodGet, http.MethodPut, http.MethodHead},
			AllowedHeaders: names, ExposeHeaders: []string{"ETag"},
		}}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// followRedirects reads objects with fetch and in elements. A browser sends the custom headers of a fetch to the bucket as well, so
// the bucket must allow them.
func (w *world) followRedirects(tab *tab) {
	t := w.t
	t.Helper()
	w.put("a.txt", "text/plain", []byte("0123456789"))
	w.put("pictures/a b.png", "image/png", picture(t))
	w.put("drawing.svg", "image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg" width="7" height="7"><rect width="7" height="7"/></svg>`))

	type read struct {
		Status     int
		Redirected bool
		Text, Etag string
	}
	own := `{"X-CSRF": "1", "X-Expected-Sub": "` + w.sub(cognitolocal.DemoUser) + `"}`
	for _, c := range []struct {
		allowed []string
		headers string
		want    string // "" if the browser must refuse
	}{
		{[]string{"range"}, `{}`, "0123456789"},
		{[]string{"range"}, own, ""},
		{[]string{"range", "x-csrf"}, own, ""},
		{[]string{"range", "x-csrf", "x-expected-sub"}, own, "0123456789"},
		{[]string{"range", "x-csrf", "x-expected-sub"}, strings.Replace(own, "{", `{"Range": "bytes=2-4",`, 1), "234"},
		{[]string{"*"}, own, "0123456789"},
	} {
		w.allowHeaders(c.allowed...)
		got := run[read](tab, `folder.read("a.txt", `+c.headers+`)`)
		if got.Redirected != (c.want != "") || c.want != "" && (got.Text != c.want || got.Etag == "") || c.want == "" && got.Status != 0 {
			t.Errorf("a fetch with %s, allowed %v: %+v", c.headers, c.allowed, got)
		}
	}
	for key, width := range map[string]string{"pictures/a%20b.png": "3", "pictures%2Fa%20b.png": "3", "drawing.svg": "7", "nothing.png": "refused"} {
		if got := run[string](tab, `folder.show("img", "`+key+`")`); got != width {
			t.Errorf("<img> of %s: %s, want %s", key, got, width)
		}
	}
	tab.mu.Lock()
	defer tab.mu.Unlock()
	for _, complaint := range tab.complaints {
		if strings.Contains(complaint, "Content Security Policy") {
			t.Error(complaint)
		}
	}
}

// picture is a PNG of three by two pixels.
func picture(t *testing.T) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 3, 2))
	img.Set(1, 1, color.White)
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// beacon records which scripts ran.
type beacon struct {
	*httptest.Server

	mu  sync.Mutex
	ran []string
}

func newBeacon(t *testing.T) *beacon {
	t.Helper()
	b := &beacon{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ran = append(b.ran, strings.TrimPrefix(r.URL.Path, "/"))
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *beacon) has(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.ran, name)
}

// script tells the beacon that it ran.
func (b *beacon) script(name string) string { return "new Image().src = '" + b.URL + "/" + name + "'" }

// openStoredPages opens pages and drawings with scripts. Under a link to the bucket that the token handler did not sign they run on
// the bucket's origin; under its own they are downloads, or text.
func (w *world) openStoredPages(tab *tab) {
	t := w.t
	t.Helper()
	ran := newBeacon(t)
	for name, c := range map[string]struct{ contentType, before, after string }{
		"page.html":   {"text/html", "<!DOCTYPE html><title>x</title><script>", "</script>"},
		"page.xhtml":  {"application/xhtml+xml", `<html xmlns="http://www.w3.org/1999/xhtml"><head><script>`, "</script></head></html>"},
		"drawing.svg": {"image/svg+xml", `<svg xmlns="http://www.w3.org/2000/svg"><script>`, "</script></svg>"},
	} {
		w.put("signed-elsewhere", c.contentType, []byte(c.before+ran.script("elsewhere-"+name)+c.after))
		w.put(name, c.contentType, []byte(c.before+ran.script(name)+c.after))
		tab.open(w.signedElsewhere("signed-elsewhere"))
		tab.waitFor("the script of the page that runs", func() bool { return ran.has("elsewhere-" + name) })
		if got := tab.downloaded("/storage/objects/" + name); got != name || ran.has(name) {
			t.Errorf("%s: the download is called %q, its script ran: %t", name, got, ran.has(name))
		}
	}
	w.put("page.txt", "text/plain", []byte("<!DOCTYPE html><title>x</title><script>"+ran.script("text")+"</script>"))
	tab.open("/storage/objects/page.txt")
	if at := run[string](tab, "location.href"); !strings.HasPrefix(at, w.stack.S3.Endpoint) || ran.has("text") || run[string](tab, "document.contentType") != "text/plain" {
		t.Errorf("a text with markup opened at %s, ran: %t", at, ran.has("text"))
	}
}

// signedElsewhere is a link to an object of the demo user's folder that says nothing of its disposition.
func (w *world) signedElsewhere(key string) string {
	w.t.Helper()
	signed, err := s3.NewPresignClient(w.stack.S3.Client()).PresignGetObject(w.t.Context(), &s3.GetObjectInput{
		Bucket: &w.stack.S3.Bucket, Key: aws.String(w.demoFolder() + key),
	}, s3.WithPresignExpires(time.Minute))
	if err != nil {
		w.t.Fatal(err)
	}
	return signed.URL
}

// downloaded goes to a path that must become a download, and returns the name of the file. The download is refused then, and the tab
// stays where it was.
func (t *tab) downloaded(path string) string {
	t.t.Helper()
	must(t, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorDeny, EventsEnabled: aws.Bool(true),
	})
	before := run[string](t, "location.href")
	names := len(t.files())
	must(t, page.Navigate, page.NavigateParams{URL: t.w.stack.URL + path})
	t.waitFor("a download", func() bool { return len(t.files()) > names })
	if after := run[string](t, "location.href"); after != before {
		t.t.Errorf("the tab went to %s", after)
	}
	return t.files()[names]
}

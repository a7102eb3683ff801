//go:build e2e

package browser_test

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/heapprofiler"
)

// everythingVisible is run in a page and returns every string that a script in it can reach.
//
//go:embed testdata/visible.js
var everythingVisible string

// tokenShape matches a JWT of any issuer.
var tokenShape = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`)

// secrets returns everything that no script may see: every token issued, whole and in parts, the cookies' sealed values, and the keys.
func (w *world) secrets() []string {
	found := []string{w.stack.Pool.ClientSecret, w.stack.S3.SecretKey}
	for _, token := range w.stack.Pool.Issued() {
		found = append(found, token)
		for part := range strings.SplitSeq(token, ".") {
			if len(part) >= 24 {
				found = append(found, part)
			}
		}
	}
	for _, tab := range w.tabs {
		for _, h := range tab.allHeads() {
			for _, line := range h.cookies() {
				if value := cookieValue(line); len(value) >= 24 {
					found = append(found, value)
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func cookieValue(line string) string {
	pair, _, _ := strings.Cut(line, ";")
	_, value, _ := strings.Cut(pair, "=")
	return value
}

// leak returns which secret the text holds, shortened, or "".
func leak(text string, secrets []string) string {
	if found := tokenShape.FindString(text); found != "" {
		return "something like a token: " + found[:12] + "…"
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			return secret[:min(12, len(secret)/2)] + "…"
		}
	}
	return ""
}

// visible maps places to what a script can read there.
func (t *tab) visible() map[string]string {
	t.t.Helper()
	places := map[string]string{}
	if err := json.Unmarshal([]byte(run[string](t, everythingVisible)), &places); err != nil {
		t.t.Fatal(err)
	}
	return places
}

// wantNothingVisible looks for secrets in every place of the page that a script can read.
func (t *tab) wantNothingVisible(when string) {
	t.t.Helper()
	secrets := t.w.secrets()
	places := t.visible()
	for _, place := range []string{"document.cookie", "localStorage", "sessionStorage", "document", "globals"} {
		if _, looked := places[place]; !looked {
			t.t.Errorf("%s: the search did not look into %s", when, place)
		}
	}
	for place, content := range places {
		if found := leak(content, secrets); found != "" {
			t.t.Errorf("%s: %s holds %s", when, place, found)
		}
	}
	for _, place := range []string{"document.cookie", "cookieStore", "sessionStorage", "indexedDB", "caches"} {
		if content := places[place]; content != "" {
			t.t.Errorf("%s: %s is not empty: %.80s", when, place, content)
		}
	}
}

// wantCleanAnswers looks for secrets in every answer that any tab has got. A Set-Cookie header may hold sealed values, never a token.
func (w *world) wantCleanAnswers() {
	w.t.Helper()
	secrets, tokens, count := w.secrets(), w.stack.Pool.Issued(), 0
	for _, tab := range w.tabs {
		for _, a := range tab.seen(0) {
			count++
			if found := leak(a.url+"\n"+a.body, secrets); found != "" {
				w.t.Errorf("%s: the address or the body holds %s", a, found)
			}
			for _, line := range a.headers {
				if found := leak(line, tokens); found != "" {
					w.t.Errorf("%s: a header holds %s", a, found)
				}
			}
		}
		for _, h := range tab.allHeads() {
			w.wantCleanHead(h, tokens, secrets)
		}
	}
	if len(tokens) == 0 || count < 10 {
		w.t.Errorf("only %d tokens and %d answers were looked at", len(tokens), count)
	}
	w.t.Logf("looked for %d tokens (%d secrets) in %d answers", len(tokens), len(secrets), count)
}

func (w *world) wantCleanHead(h head, tokens, secrets []string) {
	w.t.Helper()
	for _, line := range h.lines {
		name, value, _ := strings.Cut(line, ": ")
		hidden := secrets
		if strings.EqualFold(name, "set-cookie") {
			hidden = tokens
		}
		if found := leak(value, hidden); found != "" {
			w.t.Errorf("header %s of %s holds %s", name, h.url, found)
		}
	}
}

// wantQuiet asserts that no tab has a complaint in its console, a refused cookie or a failed request, and no error status except the
// expected ones, which are given like "401 GET /api/me", or "412 PUT S3:/bucket/key".
func (w *world) wantQuiet(expected ...string) {
	w.t.Helper()
	for i, tab := range w.tabs {
		tab.mu.Lock()
		for _, found := range slices.Concat(tab.complaints, tab.refused, tab.failed) {
			w.t.Errorf("tab %d: %s", i+1, found)
		}
		tab.mu.Unlock()
		for _, a := range tab.seen(0) {
			short, _, _ := strings.Cut(strings.NewReplacer(w.stack.URL, "", w.stack.S3.Endpoint, "S3:").Replace(a.String()), "?X-Amz-")
			if at := slices.Index(expected, short); at >= 0 {
				expected = slices.Delete(expected, at, at+1)
			} else if strings.HasSuffix(short, " HEAD /storage/objects/notes/notes.json") && (a.status == 404 || a.status == 401) {
				continue // the user has written no notes yet, or has logged out while the page looked for them
			} else if a.status >= 400 {
				w.t.Errorf("tab %d: %s", i+1, short)
			}
		}
	}
	if len(expected) > 0 {
		w.t.Errorf("did not happen: %v", expected)
	}
}

// wantNoSecretInHeap looks for secrets in everything that the page's JavaScript engine holds, reachable by a script or not. known is
// a text that must be there: without it the snapshot shows nothing.
func (t *tab) wantNoSecretInHeap(known string) {
	t.t.Helper()
	t.mu.Lock()
	t.heap.Reset()
	t.mu.Unlock()
	must(t, heapprofiler.TakeHeapSnapshot, heapprofiler.TakeHeapSnapshotParams{})
	var heap string
	t.waitFor("the end of the heap snapshot", func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		heap = t.heap.String()
		return strings.HasSuffix(strings.TrimSpace(heap), "}")
	})
	if !strings.Contains(heap, known) {
		t.t.Errorf("the snapshot of the heap, %d bytes, does not have %s", len(heap), known)
	}
	if found := leak(heap, t.w.secrets()); found != "" {
		t.t.Errorf("the page's heap holds %s", found)
	}
}

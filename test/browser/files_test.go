//go:build e2e

package browser_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
	"cognito-token-handler/tokenhandler/client"
)

// newFilesWorld starts a world whose app uses the entries for files and notes of the browser client.
func newFilesWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(repo(t), "test", "browser", "testdata", "files"))); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("client.js", string(client.Core))
	if err := os.Mkdir(filepath.Join(dir, "shared"), 0o700); err != nil {
		t.Fatal(err)
	}
	modules := map[string]string{
		"storage.js":        "storage-client.js",
		"mirror.js":         "mirror-client.js",
		"shared/storage.js": "shared/storage.js",
		"shared/parts.js":   "shared/parts.js",
	}
	for from, to := range modules {
		built, err := os.ReadFile(filepath.Join(repo(t), "tokenhandler", "client", "dist", from))
		if err != nil {
			t.Fatalf("%v: run `make client`", err)
		}
		// A page without a build step finds the core under a path.
		write(to, strings.ReplaceAll(string(built), `"cognito-token-handler"`, `"/client.js"`))
	}
	return newWorld(t, devstack.Options{ExtraConfig: func(stack *devstack.Stack, config devstack.Config) {
		onAnotherSite(stack, config)
		config.Set("spa.dir", dir)
	}})
}

// TestFiles uses the client of the folder against the service and an S3 server: small and large uploads, with a pause and a reload in
// the middle, and everything that can be done with an object.
func TestFiles(t *testing.T) {
	w := newFilesWorld(t)
	tab := w.tab()
	tab.open("/")
	tab.waitStatus("anonymous")
	tab.clientLogin(cognitolocal.DemoUser, "")
	folder := w.demoFolder()

	uploaded := run[map[string]any](tab, `storage.upload("notes/Größe 1.txt", "Größe", { ifAbsent: true, metadata: { author: "ada" } })`)
	etag, _ := uploaded["etag"].(string)
	if w.object(folder+"notes/Größe 1.txt") != "Größe" || uploaded["size"] != 7.0 || !strings.HasPrefix(etag, `"`) {
		t.Errorf("a small upload made %v", uploaded)
	}
	tab.wantCode(`storage.upload("notes/Größe 1.txt", "other", { ifAbsent: true })`, "already_exists")
	tab.wantCode(`storage.upload("notes/Größe 1.txt", "other", { ifMatch: '"0"' })`, "precondition_failed")
	tab.wantCode(`storage.download("nothing")`, "not_found")
	tab.wantCode(`storage.head("nothing")`, "not_found")

	tab.uploadFilm(folder)
	tab.useObjects()
	w.wantCleanAnswers()
}

// wantCode asserts that a call fails with an ApiError of this code.
func (t *tab) wantCode(call, code string) {
	t.t.Helper()
	if got := run[string](t, `Promise.resolve(`+call+`).then(() => "nothing", (error) => error.code ?? String(error))`); got != code {
		t.t.Errorf("%s fails with %s, want %s", call, got, code)
	}
}

// uploadFilm pauses a large upload in its second part, loads the page anew, and uploads the same file: only what is missing is sent.
func (t *tab) uploadFilm(folder string) {
	t.t.Helper()
	run[any](t, `begin(); null`)
	t.wait(`task.state === "paused"`)
	t.do("reloading", chromedp.Reload())
	t.waitStatus("authenticated")
	if left := run[[]string](t, `storage.unfinished().map(({ key }) => key)`); len(left) != 1 || left[0] != "films/film.bin" {
		t.t.Errorf("after the reload %v are unfinished", left)
	}
	mark := len(t.w.stack.HandlerLog())
	size := run[int](t, `storage.upload("films/film.bin", film(), { onProgress: (progress) => (window.progress ??= []).push(progress.loaded) })
		.then(({ size }) => size)`)
	if started := t.w.asked(mark, http.MethodPost, "/storage/multipart"); started != 0 {
		t.t.Errorf("the same file started %d uploads", started)
	}
	if first := run[int](t, `progress[0]`); first < 8<<20 { // all that the browser had sent before it stopped may have arrived
		t.t.Errorf("the upload went on after %d bytes", first)
	}
	if same := run[bool](t, `film().arrayBuffer().then(async (bytes) => {
		const hash = async (data) => String(new Uint8Array(await crypto.subtle.digest("SHA-256", data)))
		const { blob } = await storage.download("films/film.bin")
		return (await hash(bytes)) === (await hash(await blob.arrayBuffer()))
	})`); !same || size != len(t.w.object(folder+"films/film.bin")) {
		t.t.Errorf("%d bytes were uploaded, and they are the file's: %t", size, same)
	}
	if left := run[int](t, `storage.unfinished().length`); left != 0 {
		t.t.Errorf("%d uploads are unfinished at the end", left)
	}
}

// useObjects lists, reads, copies and deletes what the test has uploaded.
func (t *tab) useObjects() {
	t.t.Helper()
	for _, row := range [][2]string{
		{`storage.list().all().then((all) => all.map(({ key }) => key).join())`, "films/film.bin,notes/Größe 1.txt"},
		{`storage.list("", { delimiter: "/", limit: 1 }).page().then(({ folders }) => folders.join())`, "films/"},
		{`storage.head("notes/Größe 1.txt").then(({ size, metadata, contentType }) => [size, metadata.author, contentType].join())`, "7,ada,text/plain; charset=UTF-8"},
		{`storage.download("notes/Größe 1.txt").then(({ blob }) => blob.text())`, "Größe"},
		{`storage.download("films/film.bin", { range: [0, 4] }).then(({ blob }) => String(blob.size))`, "5"},
		{`storage.copy("notes/Größe 1.txt", "notes/b.txt").then(({ key }) => key)`, "notes/b.txt"},
		{`storage.usage().then(({ quotaBytes }) => String(quotaBytes))`, "null"},
	} {
		expression, want := row[0], row[1]
		if got := run[string](t, expression); !strings.EqualFold(strings.ReplaceAll(got, "; ", ";"), strings.ReplaceAll(want, "; ", ";")) {
			t.t.Errorf("%s is %q, want %q", expression, got, want)
		}
	}
	if deleted := run[int](t, `storage.remove("notes", { recursive: true })`); deleted != 2 {
		t.t.Errorf("%d objects were deleted, want 2", deleted)
	}
	run[any](t, `storage.remove("films/film.bin")`)
	if left := run[int](t, `storage.list().all().then((all) => all.length)`); left != 0 {
		t.t.Errorf("%d objects are left", left)
	}
}

// TestMirror keeps the notes of one user in two browsers: neither overwrites what the other has written.
func TestMirror(t *testing.T) {
	w := newFilesWorld(t)
	here, there := w.tab(), w.tab(chromedp.WithNewBrowserContext()) // with cookies and storage of its own, as on another device
	here.open("/")
	here.waitStatus("anonymous")
	run[any](here, `localStorage.setItem("old-notes", '[{"id":1,"text":"from the old app"}]')`)
	for _, tab := range []*tab{here, there} {
		tab.open("/")
		tab.waitStatus("anonymous")
		tab.clientLogin(cognitolocal.DemoUser, "")
		tab.wait(`notes.snapshot.status === "synced" && title.snapshot.status === "synced"`)
	}
	there.wantNotes("from the old app")
	if kept := w.object(w.demoFolder() + "mirror/notes.json"); kept != `[{"id":1,"text":"from the old app"}]` {
		t.Errorf("the folder has %s", kept)
	}

	run[any](here, `notes.set((list) => [...list, { id: 2, text: "here" }])`)
	run[any](there, `notes.set((list) => [...list, { id: 3, text: "there" }])`)
	run[any](here, `notes.sync()`)
	run[any](there, `notes.sync()`)
	run[any](here, `notes.sync()`)
	for _, tab := range []*tab{here, there} {
		tab.wantNotes("here,from the old app,there")
	}

	second := w.tab() // of the first browser
	second.open("/")
	second.wait(`window.notes?.snapshot.status === "synced"`)
	run[any](second, `notes.set([])`)
	here.wait(`notes.value.length === 0`)

	run[any](here, `title.set("here"); title.sync()`)
	run[any](there, `title.set("there"); title.sync()`)
	there.wait(`title.snapshot.status === "conflict"`)
	if kept := w.object(w.demoFolder() + "mirror/title.json"); kept != `"here"` {
		t.Errorf("a conflict has overwritten %s", kept)
	}
	run[any](there, `title.resolve("here and there"); title.sync()`)
	run[any](here, `title.sync()`)
	here.wait(`title.value === "here and there" && title.snapshot.status === "synced"`)

	there.offline(true)
	run[any](there, `title.set("written offline"); title.sync()`)
	there.wait(`title.snapshot.status === "offline"`)
	there.offline(false)
	there.wait(`title.snapshot.status === "synced"`)
	if kept := w.object(w.demoFolder() + "mirror/title.json"); kept != `"written offline"` {
		t.Errorf("after the network came back the folder has %s", kept)
	}
}

func (t *tab) wantNotes(texts string) {
	t.t.Helper()
	t.wait(`notes.snapshot.status === "synced"`)
	if got := run[string](t, `notes.value.map(({ text }) => text).join()`); got != texts {
		t.t.Errorf("the notes are %q, want %q", got, texts)
	}
}

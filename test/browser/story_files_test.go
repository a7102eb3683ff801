//go:build e2e

package browser_test

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp/kb"
)

// drawing is the file that the story uploads. Its name needs encoding in a path and in a header.
const drawing = "files/Größe 1.png"

// chooseDrawing draws a picture of 320 × 200, chooses it in the demo's form, and pauses the upload as soon as there is a button for that.
const chooseDrawing = `(async (input, pause, name) => {
	const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 200 })
	const pen = canvas.getContext("2d")
	for (let x = 0; x < 320; x++) {
		pen.fillStyle = "hsl(" + (150 + x / 4) + " 60% 45%)"
		pen.fillRect(x, 0, 1, 200)
	}
	const blob = await new Promise((done) => canvas.toBlob(done))
	const chosen = new DataTransfer()
	chosen.items.add(new File([blob], name, { type: "image/png" }))
	const paused = new Promise((resolve) => {
		const observer = new MutationObserver(() => {
			const button = document.querySelector(pause)
			if (!button) return
			observer.disconnect()
			button.click()
			resolve(blob.size)
		})
		observer.observe(document.body, { childList: true, subtree: true })
	})
	document.querySelector(input).files = chosen.files
	document.querySelector(input).dispatchEvent(new Event("change", { bubbles: true }))
	return paused
})`

func fileItem(key string) string { return `[data-key="` + key + `"]` }

// waitThumbnail waits until the list shows the picture. It is loaded only when it is nearly in view.
func (t *tab) waitThumbnail(item string) {
	t.t.Helper()
	thumb := `document.querySelector('` + item + ` img')`
	t.wait(thumb)
	run[any](t, thumb+`.scrollIntoView()`)
	t.wait(thumb + `.complete && ` + thumb + `.naturalWidth === 320`)
}

// useFiles uploads a picture, with a pause, finds it in the list, downloads it and deletes it.
func (t *tab) useFiles(sub string) {
	t.t.Helper()
	size := t.uploadDrawing()
	item := fileItem(drawing)
	t.waitThumbnail(item)
	shown := run[string](t, `document.querySelector('`+item+`').innerText`)
	key := run[string](t, `document.querySelector('`+item+` `+id("file-key")+`').innerText`)
	if !strings.Contains(shown, "Größe 1.png") || key != "users/"+sub+"/"+drawing {
		t.t.Errorf("the list shows %q with the key %s", shown, key)
	}
	content := t.w.object(key)
	if len(content) != size || !strings.HasPrefix(content, "\x89PNG") {
		t.t.Errorf("S3 holds %d bytes, want a PNG of %d", len(content), size)
	}
	t.shoot("05-files", true)
	if got := t.download(item, "Größe 1.png"); got != content {
		t.t.Errorf("the download has %d bytes, want the %d of the object", len(got), len(content))
	}
	t.renameFile(item, "drawing.png")
	if keys := t.w.keys("users/" + sub + "/files/"); len(keys) != 1 || keys[0] != "users/"+sub+"/files/drawing.png" {
		t.t.Errorf("after the renaming S3 holds %v", keys)
	}
	t.waitThumbnail(fileItem("files/drawing.png")) // else its request may come after the deletion
	t.deleteFile(fileItem("files/drawing.png"))
	if left := t.w.keys("users/" + sub + "/"); len(left) != 1 || left[0] != "users/"+sub+"/notes/notes.json" {
		t.t.Errorf("after the deletion S3 holds %v", left)
	}
}

// uploadDrawing returns the size of what it has uploaded.
func (t *tab) uploadDrawing() int {
	t.t.Helper()
	size := run[int](t, chooseDrawing+`('`+id("file-input")+`', '`+id("upload-pause")+`', "`+filepath.Base(drawing)+`")`)
	t.wait(`document.querySelector('` + id("upload-said") + `[data-state="paused"]')`)
	t.wait(`document.querySelector('[aria-label="Upload of ` + filepath.Base(drawing) + `"]')`)
	t.click(id("upload-resume"))
	t.wait(`document.querySelector('` + id("upload-said") + `[data-state="done"]')`)
	t.wait(`document.querySelector('` + fileItem(drawing) + `')`)
	return size
}

// download clicks the link of a file, and returns what the browser has stored under the name.
func (t *tab) download(item, name string) string {
	t.t.Helper()
	dir := t.t.TempDir()
	must(t, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, EventsEnabled: aws.Bool(true),
	})
	t.click(item + " " + id("file-download"))
	var content []byte
	t.waitFor("the downloaded file", func() bool {
		var err error
		content, err = os.ReadFile(filepath.Join(dir, name)) // it has another name until it is complete
		return err == nil && len(content) > 0
	})
	return string(content)
}

func (t *tab) renameFile(item, name string) {
	t.t.Helper()
	t.click(item + " " + id("file-rename"))
	input := `document.querySelector('` + item + ` ` + id("rename-input") + `')`
	t.wait(input)
	run[any](t, input+`.select()`)
	t.fill(item+" "+id("rename-input"), name+kb.Enter)
	t.wait(`document.querySelector('` + fileItem("files/"+name) + `') && !document.querySelector('` + item + `')`)
}

func (t *tab) deleteFile(item string) {
	t.t.Helper()
	t.click(item + " " + id("file-delete"))
	t.click(item + " " + id("file-delete-yes"))
	t.wait(`!document.querySelector('` + item + `')`)
	t.wait(`document.querySelector('` + id("files-said") + `').innerText.includes("Deleted")`)
	if focused := run[string](t, `document.activeElement.id`); focused != "files-title" {
		t.t.Errorf("after the deletion the focus is at %q", focused)
	}
}

// keys returns the keys in the bucket that begin with the prefix, past the token handler.
func (w *world) keys(prefix string) []string {
	w.t.Helper()
	found, err := w.stack.S3.Client().ListObjectsV2(w.t.Context(), &s3.ListObjectsV2Input{Bucket: &w.stack.S3.Bucket, Prefix: &prefix})
	if err != nil {
		w.t.Fatalf("listing %s: %v", prefix, err)
	}
	keys := make([]string, 0, len(found.Contents))
	for _, object := range found.Contents {
		keys = append(keys, aws.ToString(object.Key))
	}
	return keys
}

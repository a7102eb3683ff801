//go:build e2e

package browser_test

import (
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// loadAxe puts axe-core into the page, unless it is there.
func (t *tab) loadAxe() {
	t.t.Helper()
	if run[bool](t, `"axe" in window`) {
		return
	}
	source, err := os.ReadFile(filepath.Join(repo(t.t), "test", "demo", "spa", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.t.Fatal(err)
	}
	run[any](t, string(source)+";null")
}

// shootSmall keeps a picture of the page as it is, and as a phone shows it.
func (t *tab) shootSmall(name string) {
	t.t.Helper()
	t.picture(name)
	t.do("narrowing", chromedp.EmulateViewport(390, 844))
	t.picture(name + "-phone")
	t.do("widening", chromedp.EmulateViewport(1280, 900))
}

// pictureWithForcedColours keeps a picture as a contrast theme of Windows shows the page.
func (t *tab) pictureWithForcedColours(name string) {
	t.t.Helper()
	must(t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "forced-colors", Value: "active"}, {Name: "prefers-color-scheme", Value: "dark"},
	}})
	t.picture(name + "-forced")
	t.scheme("light")
}

// wantTargets wants every control to be at least 44 pixels high and wide, on a phone.
func (t *tab) wantTargets() {
	t.t.Helper()
	t.do("narrowing", chromedp.EmulateViewport(390, 844))
	small := run[[]string](t, `[...document.querySelectorAll("a, button, input, textarea, summary, label.button")].flatMap((control) => {
		const { width, height } = control.getBoundingClientRect()
		const hidden = control.closest(".visually-hidden, .skip") || width === 0
		return hidden || (width >= 44 && height >= 44) ? [] : [control.outerHTML.slice(0, 100) + " " + width + " × " + height]
	})`)
	for _, control := range small {
		t.t.Errorf("too small for a finger: %s", control)
	}
	if wide := run[int](t, `document.documentElement.scrollWidth`); wide > 390 {
		t.t.Errorf("the page is %d pixels wide on a phone of 390", wide)
	}
	t.do("widening", chromedp.EmulateViewport(1280, 900))
}

// wantAccessible wants no complaint of axe-core about the page as it is.
func (t *tab) wantAccessible(state string, schemes ...string) {
	t.t.Helper()
	t.loadAxe()
	for _, scheme := range schemes {
		t.scheme(scheme)
		found := run[[]string](t, `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
			violations.flatMap(({ id, nodes }) => nodes.map((node) => id + " at " + node.target + ": " + node.failureSummary)))`)
		for _, violation := range found {
			t.t.Errorf("%s, %s: %s", state, scheme, violation)
		}
	}
	t.scheme("light")
}

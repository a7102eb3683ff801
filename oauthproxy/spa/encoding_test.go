package spa_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"cognito-token-handler/oauthproxy/spa"
)

// The client gets the smallest variant that it accepts, with the type and the caching
// headers of the file itself.
func TestPrecompressedFiles(t *testing.T) {
	dir := newDir(t)
	for name, content := range map[string]string{
		"assets/index-BxK3v_9a.js.br": "brotli of the script", "assets/index-BxK3v_9a.js.gz": "gzip of the script",
		"assets/style.css.gz": "gzip of the style", "index.html.br": "brotli of the shell",
		"avatar.br": "brotli of what has no type",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	h := newApp(t, spa.Config{Dir: dir})
	const script, style = "/assets/index-BxK3v_9a.js", "/assets/style.css"
	for name, c := range map[string]struct {
		path, accept, coding, body, mediaType string
	}{
		"a browser":          {script, "gzip, deflate, br, zstd", "br", "brotli of the script", "text/javascript; charset=utf-8"},
		"an older one":       {script, "gzip, deflate", "gzip", "gzip of the script", "text/javascript; charset=utf-8"},
		"in capitals":        {script, "GZIP", "gzip", "gzip of the script", "text/javascript; charset=utf-8"},
		"none":               {script, "", "", "import()", "text/javascript; charset=utf-8"},
		"neither":            {script, "zstd", "", "import()", "text/javascript; charset=utf-8"},
		"not br":             {script, "gzip, br;q=0", "gzip", "gzip of the script", "text/javascript; charset=utf-8"},
		"not br, with zeros": {script, "br;q=0.000, gzip;q=0.1", "gzip", "gzip of the script", "text/javascript; charset=utf-8"},
		"anything":           {script, "*", "br", "brotli of the script", "text/javascript; charset=utf-8"},
		"anything but br":    {script, "*;q=1, br;q=0", "gzip", "gzip of the script", "text/javascript; charset=utf-8"},
		"nothing":            {script, "*;q=0", "", "import()", "text/javascript; charset=utf-8"},
		"malformed weight":   {script, "br;q=x", "", "import()", "text/javascript; charset=utf-8"},
		"a weight in spaces": {script, "gzip;q=0.5,  br ; q = 1 ", "br", "brotli of the script", "text/javascript; charset=utf-8"},
		"another parameter":  {script, "br;x=1, gzip;Q=1", "gzip", "gzip of the script", "text/javascript; charset=utf-8"},
		"no weight":          {script, "br;q, gzip;", "gzip", "gzip of the script", "text/javascript; charset=utf-8"},
		"below nothing":      {script, "br;q=-1", "", "import()", "text/javascript; charset=utf-8"},
		"after all":          {script, "br, *;q=0", "br", "brotli of the script", "text/javascript; charset=utf-8"},
		"only gzip is there": {style, "br, gzip", "gzip", "gzip of the style", "text/css; charset=utf-8"},
		"the shell":          {"/users/jane.doe", "br", "br", "brotli of the shell", "text/html; charset=utf-8"},
		"no type":            {"/avatar", "br", "", png, "image/png"},
	} {
		t.Run(name, func(t *testing.T) {
			rec := do(h, http.MethodGet, c.path, "Accept-Encoding", c.accept)
			if rec.Code != http.StatusOK || rec.Body.String() != c.body {
				t.Errorf("answered %d %q", rec.Code, rec.Body)
			}
			wantHeader(t, rec, map[string]string{"Content-Encoding": c.coding, "Content-Type": c.mediaType, "Vary": "Accept-Encoding"})
			caching := map[bool]string{true: "public, max-age=31536000, immutable", false: "no-cache"}[c.path == script]
			wantHeader(t, rec, map[string]string{"Cache-Control": caching})
		})
	}
}

// Each variant has a tag of its own, or a cache would mix them up.
func TestEveryVariantHasItsOwnTag(t *testing.T) {
	dir := newDir(t)
	write(t, filepath.Join(dir, "assets/style.css.gz"), "gzip of the style")
	h := newApp(t, spa.Config{Dir: dir})
	plain := do(h, http.MethodGet, "/assets/style.css").Header().Get("ETag")
	packed := do(h, http.MethodGet, "/assets/style.css", "Accept-Encoding", "gzip").Header().Get("ETag")
	if plain == "" || packed == "" || plain == packed {
		t.Errorf("tags %s and %s", plain, packed)
	}
	if rec := do(h, http.MethodGet, "/assets/style.css", "Accept-Encoding", "gzip", "If-None-Match", packed); rec.Code != http.StatusNotModified {
		t.Errorf("answered %d", rec.Code)
	}
	if rec := do(h, http.MethodGet, "/assets/style.css", "Accept-Encoding", "gzip", "If-None-Match", plain); rec.Code != http.StatusOK {
		t.Errorf("answered %d", rec.Code)
	}
}

// Variants cannot lead out of the directory either.
func TestVariantIsNoWayOut(t *testing.T) {
	dir := newDir(t)
	if err := os.Symlink("../../outside.txt", filepath.Join(dir, "assets/style.css.br")); err != nil {
		t.Fatal(err)
	}
	rec := do(newApp(t, spa.Config{Dir: dir}), http.MethodGet, "/assets/style.css", "Accept-Encoding", "br")
	if rec.Code != http.StatusOK || rec.Body.String() != "p{}" {
		t.Errorf("answered %d %q", rec.Code, rec.Body)
	}
}

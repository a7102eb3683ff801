package spa

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// page is what is known of an HTML file.
type page struct {
	// policy is the policy for this file. It is empty if that is the operator's, or if the
	// file has a [Placeholder]: then every response has another one.
	policy         string
	hasPlaceholder bool
}

// setPolicy sets the policy with the sources that are added to it.
func (h *Handler) setPolicy(cfg Config) error {
	base, err := cfg.basePolicy()
	if err != nil {
		return err
	}
	h.base, h.policy = base, cfg.ContentSecurityPolicy
	if !h.custom || cfg.ExtraPolicy != "" {
		h.policy = h.base.String()
	}
	return nil
}

// basePolicy returns the policy of all files but HTML files.
func (cfg *Config) basePolicy() (policy, error) {
	base := defaultPolicy(cfg.StorageOrigin)
	if cfg.ContentSecurityPolicy != "" {
		base = parsePolicy(cfg.ContentSecurityPolicy)
	}
	if cfg.ExtraPolicy == "" {
		return base, nil
	}
	extra, err := parseExtra(cfg.ExtraPolicy)
	if err != nil {
		return nil, fmt.Errorf("spa.content_security_policy_extra %w", err)
	}
	for _, d := range extra {
		base = base.with(d.name, d.sources)
	}
	return base, nil
}

// withNonce returns a policy with a new nonce in the place of the placeholder, for a file
// that has no placeholder itself. A nonce that stays the same could be known before.
func withNonce(policy string) string {
	if !strings.Contains(policy, Placeholder) {
		return policy
	}
	return strings.ReplaceAll(policy, Placeholder, rand.Text())
}

// inspect describes an HTML file.
func (h *Handler) inspect(name string, content []byte) page {
	if bytes.Contains(content, []byte(Placeholder)) {
		return page{hasPlaceholder: true}
	}
	if h.custom {
		return page{}
	}
	return page{policy: h.policyOf(name, content, false)}
}

// policyOf returns the policy for the HTML file called name, with the placeholder where a
// nonce belongs. nonce tells that the file has one. The log names each file once whose
// policy is too long.
func (h *Handler) policyOf(name string, content []byte, nonce bool) string {
	if h.custom {
		return h.policy
	}
	text, needed := h.base.forPage(content, nonce)
	if needed <= MaxPolicy {
		return text
	}
	if _, warned := h.tooLong.LoadOrStore(name, true); !warned {
		h.log.Warn("a page needs a longer Content-Security-Policy than some proxies accept: move the scripts, styles and attributes style in it into files of their own",
			"file", name, "needed_bytes", needed, "sent_bytes", len(text))
	}
	return text
}

// forPage returns p with what an HTML file needs beyond it, and how many bytes that are. If
// they are too many, the policy allows all attributes style in the place of the hashes of
// those that the file has: they cannot run scripts. The hashes of scripts remain.
func (p policy) forPage(content []byte, nonce bool) (text string, needed int) {
	found := inlineOf(content)
	if bytes.Contains(content, []byte("__sveltekit_")) {
		found.attributes = append(found.attributes, svelteAnnouncer)
	}
	if nonce {
		found.styles = append([]string{anyNonce}, found.styles...)
	}
	p = p.withInline("script-src-attr", unsafeHashes(found.handlers)).withInline("style-src-attr", unsafeHashes(found.attributes))
	p = p.withInline(p.element("script-src"), found.scripts).withInline(p.element("style-src"), found.styles)
	p = p.with("base-uri", found.base)
	text = p.String()
	if needed = len(text); needed > MaxPolicy && len(found.attributes) > 0 {
		text = p.replace("style-src-attr", []string{"'unsafe-inline'"}).String()
	}
	return text, needed
}

// svelteAnnouncer is the hash of the one attribute style that SvelteKit's own script writes
// into the page: that of the element that tells screen readers the title of a page
// (SvelteKit, "Configuration", csp).
const svelteAnnouncer = "'sha256-S8qMpvofolR8Mpjy4kQvEm7m1q8clzU4dfDH0AmvZjo='"

// unsafeHashes returns the sources for attributes with these hashes.
func unsafeHashes(hashes []string) []string {
	if len(hashes) == 0 {
		return nil
	}
	return append([]string{"'unsafe-hashes'"}, hashes...)
}

// inline are the hashes of what stands in an HTML file itself: the elements script and
// style, and the attributes that are scripts and styles. Static exports of Next.js have
// scripts in every page, for example, and Angular's builds have styles and event handlers.
// The file is a part of the app, so all of that may run. What somebody else brings into
// the page has another hash (Content Security Policy Level 3, section 8.3).
type inline struct {
	scripts, styles, handlers, attributes []string
	// base is what an element base needs. Angular's builds have one. Without it, nobody
	// can change where the relative URLs of a page lead.
	base []string
}

// inlineOf finds the inline scripts and styles of an HTML file as a browser that runs
// scripts does.
func inlineOf(content []byte) (found inline) {
	tokens := html.NewTokenizer(bytes.NewReader(content))
	var into *[]string // where the text of the element that has just begun belongs
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return found
		case html.StartTagToken, html.SelfClosingTagToken:
			into = found.element(tokens)
		case html.TextToken:
			if into != nil {
				addHash(into, tokens.Raw())
			}
			into = nil
		case html.EndTagToken, html.CommentToken, html.DoctypeToken:
			into = nil
		}
	}
}

// element notes the attributes of an element, and returns where the hash of its text
// belongs, if it is an inline script or style.
func (found *inline) element(tokens *html.Tokenizer) (into *[]string) {
	tag, more := tokens.TagName()
	name := string(tag)
	external, kind := false, ""
	for more {
		var key, value []byte
		key, value, more = tokens.TagAttr()
		switch attribute := string(key); {
		case attribute == "style":
			addHash(&found.attributes, value)
		case strings.HasPrefix(attribute, "on"):
			addHash(&found.handlers, value)
		case attribute == "src":
			external = true
		case attribute == "type":
			kind = strings.ToLower(strings.TrimSpace(string(value)))
		}
	}
	switch {
	case name == "base":
		found.base = []string{"'self'"}
	case name == "style":
		return &found.styles
	case name == "script" && !external && runs(kind):
		return &found.scripts
	}
	return nil
}

// runs reports whether a policy applies to an inline script of this type. Other types are
// data (HTML standard, section 4.12.1).
func runs(kind string) bool {
	switch kind {
	case "", "module", "importmap", "speculationrules":
		return true
	}
	return strings.HasSuffix(kind, "javascript") || strings.HasSuffix(kind, "ecmascript")
}

// addHash adds the source for a script or style. A browser hashes what it has parsed,
// where line ends are normalised.
func addHash(into *[]string, text []byte) {
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	sum := sha256.Sum256(text)
	source := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	if !slices.Contains(*into, source) {
		*into = append(*into, source)
	}
}

// readAll reads a file of this size, and goes back to its beginning.
func readAll(file io.ReadSeeker, info fs.FileInfo) ([]byte, error) {
	content := make([]byte, info.Size())
	if _, err := io.ReadFull(file, content); err != nil {
		return nil, fmt.Errorf("reading file: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading file: %w", err)
	}
	return content, nil
}

package storage

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
)

// maxContentType bounds an upload's content type, in bytes.
const maxContentType = 255

var (
	errNotMediaType = errors.New("is not a content type")
	errParameters   = errors.New("has parameters")
	errStar         = errors.New("has a * that is not the whole subtype")
)

// ParseContentType parses one entry of the list of allowed content types: a media type
// without parameters ("image/png"), or all subtypes of one type ("image/*"). It returns
// the entry in lower case. The error completes a sentence that names the entry.
func ParseContentType(entry string) (string, error) {
	media, params, err := mime.ParseMediaType(entry)
	kind, subtype, _ := strings.Cut(media, "/")
	switch {
	case err != nil || strings.Count(media, "/") != 1:
		return "", errNotMediaType
	case len(params) > 0:
		return "", errParameters
	case strings.Contains(kind, "*") || strings.Contains(subtype, "*") && subtype != "*":
		return "", errStar
	}
	return media, nil
}

// IsActive reports whether a browser that opens an object of this type executes what
// is in it, or an app can load it as a script or style: HTML, XML with scripts (SVG),
// JavaScript, CSS, PDF. The argument is an entry that [ParseContentType] has returned;
// "image/*" and "text/*" contain such types.
func IsActive(entry string) bool {
	kind, subtype, _ := strings.Cut(entry, "/")
	switch {
	case kind == "multipart", strings.HasSuffix(subtype, "+xml"), strings.Contains(subtype, "script"):
		return true
	case subtype == "*":
		return kind != "audio" && kind != "video" && kind != "font"
	}
	return slices.Contains([]string{"html", "xml", "css", "wasm", "pdf", "xsl", "xslt", "x-shockwave-flash"}, subtype)
}

// typeList is the list of allowed content types. An empty list allows all.
type typeList struct {
	exact    map[string]bool // "image/png" → allowed
	families []string        // "image/" for "image/*"
	any      bool
}

func newTypeList(entries []string) (typeList, error) {
	list := typeList{exact: make(map[string]bool, len(entries)), any: len(entries) == 0}
	for _, entry := range entries {
		media, err := ParseContentType(entry)
		if err != nil {
			return typeList{}, fault("content type", entry, err)
		}
		if family, isFamily := strings.CutSuffix(media, "*"); isFamily {
			list.families = append(list.families, family)
		} else {
			list.exact[media] = true
		}
	}
	return list, nil
}

// defaultType is the content type of a file whose type the browser does not know: its
// type is "" then (File API, "type").
const defaultType = "application/octet-stream"

// check describes what is wrong with an upload's content type. It returns "" for a
// good one. The type goes into a header that the browser must repeat byte by byte, so
// only what every browser sends unchanged is signed.
func (l typeList) check(contentType string) string {
	if fault := checkHeaderValue("content_type", contentType, maxContentType); fault != "" {
		return fault
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.Contains(media, "/") || strings.Contains(media, "*") {
		return `"content_type" is not a media type`
	}
	inFamily := func(family string) bool { return strings.HasPrefix(media, family) }
	if !l.any && !l.exact[media] && !slices.ContainsFunc(l.families, inFamily) {
		return `"content_type" is not among those that may be uploaded`
	}
	return ""
}

// checkHeaderValue describes what is wrong with a text that becomes the value of a
// header. S3 compares what it gets with what was signed, and spaces around a value do
// not arrive.
func checkHeaderValue(field, value string, limit int) string {
	switch {
	case len(value) > limit:
		return fmt.Sprintf("%q is over %d bytes", field, limit)
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }):
		return quoted(field) + " holds other characters than printable ASCII"
	case strings.TrimSpace(value) != value:
		return quoted(field) + " begins or ends with a space"
	}
	return ""
}

// spelled returns a checked content type in the spelling that browsers send. Chromium's
// XMLHttpRequest replaces any spelling of the charset with UTF-8 in capitals if it
// sends a string, which the signature would not match. It is "" for a type with a
// parameter that cannot be written.
func spelled(contentType string) string {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.EqualFold(params["charset"], "utf-8") {
		return contentType
	}
	params["charset"] = "UTF-8"
	return mime.FormatMediaType(media, params)
}

// opensSafely reports whether a browser that opens a document of this type runs
// nothing of it. Other types could act on the bucket's origin as scripts do: HTML,
// XML with its styles, SVG, PDF, and whatever the browser does not know and guesses.
func opensSafely(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || strings.Contains(media, "xml") {
		return false
	}
	family, _, _ := strings.Cut(media, "/")
	return media == "text/plain" || family == "image" || family == "audio" || family == "video"
}

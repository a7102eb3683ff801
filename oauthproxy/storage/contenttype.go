package storage

import (
	"errors"
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

// check describes what is wrong with an upload's content type. It returns "" for a
// good one. The type goes into a header that the browser must repeat byte by byte, so
// only what every browser sends unchanged is signed.
func (l typeList) check(contentType string) string {
	switch {
	case contentType == "":
		return `"content_type" is required`
	case len(contentType) > maxContentType:
		return `"content_type" is over 255 bytes`
	case strings.ContainsFunc(contentType, func(c rune) bool { return c < ' ' || c > '~' }):
		return `"content_type" holds other characters than printable ASCII`
	case strings.TrimSpace(contentType) != contentType:
		return `"content_type" begins or ends with a space`
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

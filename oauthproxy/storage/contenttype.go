package storage

import (
	"fmt"
	"mime"
	"slices"
	"strings"
)

const maxContentType = 255

// typeList is the allow-list of media types; empty allows everything.
type typeList struct {
	exact    map[string]bool // "image/png" → allowed
	families []string        // "image/"
	any      bool
}

func parseTypes(entries []string) (typeList, error) {
	list := typeList{exact: make(map[string]bool, len(entries)), any: len(entries) == 0}
	for _, entry := range entries {
		entry = strings.ToLower(entry)
		media, params, err := mime.ParseMediaType(entry)
		kind, sub, slash := strings.Cut(media, "/")
		switch {
		case err != nil || len(params) > 0 || media != entry || !slash || strings.Contains(kind, "*") || strings.Contains(strings.TrimSuffix(sub, "*"), "*"):
			return typeList{}, fmt.Errorf("content_types: %q is neither a media type nor one like image/*", entry)
		case sub == "*":
			list.families = append(list.families, kind+"/")
		case strings.HasSuffix(sub, "*"):
			return typeList{}, fmt.Errorf("content_types: %q: a star stands for a whole subtype only", entry)
		default:
			list.exact[entry] = true
		}
	}
	return list, nil
}

// check says what is wrong with a content type, or "". It goes into a header
// that the browser must repeat byte by byte, so only what every browser sends
// unchanged is signed.
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

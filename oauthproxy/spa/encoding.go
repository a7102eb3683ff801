package spa

import (
	"io/fs"
	"mime"
	"path"
	"strconv"
	"strings"
)

// variants are the compressed forms of a file that a build may put beside it, the best
// one first. They are compressed once and not for every response.
//
//nolint:gochecknoglobals // a constant list
var variants = []struct{ coding, extension string }{{"br", ".br"}, {"gzip", ".gz"}}

// variant opens the best variant of the file called name that the client accepts (RFC
// 9110 §12.5.3). If the name does not tell the type, there is no variant, because net/http
// would guess the type from the compressed bytes.
func (b *build) variant(name string, accepted []string) (file fs.File, info fs.FileInfo, coding string) {
	if typeOf(name) == "" {
		return nil, nil, ""
	}
	for _, v := range variants {
		if !accepts(accepted, v.coding) {
			continue
		}
		if file, info, err := regular(b.files, name+v.extension); err == nil {
			return file, info, v.coding
		}
	}
	return nil, nil, ""
}

// typeOf returns the media type of a name, or "" if it is not known.
func typeOf(name string) string {
	if known := mediaTypeOf(name); known != "" {
		return known
	}
	return mime.TypeByExtension(path.Ext(name))
}

// accepts reports whether Accept-Encoding allows a coding: by the weight of the coding
// itself or else by that of "*". A coding that neither covers is not allowed.
func accepts(lines []string, coding string) bool {
	taken := false
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(item, ";")
			switch name = strings.TrimSpace(name); {
			case strings.EqualFold(name, coding):
				return hasWeight(parameters)
			case name == "*":
				taken = hasWeight(parameters)
			}
		}
	}
	return taken
}

// hasWeight reports whether a weight is more than 0. A malformed weight counts as 0.
func hasWeight(parameters string) bool {
	name, value, found := strings.Cut(strings.TrimSpace(parameters), "=")
	if !found {
		return name == ""
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 32)
	return err == nil && strings.EqualFold(strings.TrimSpace(name), "q") && weight > 0
}

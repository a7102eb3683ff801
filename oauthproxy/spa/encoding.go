package spa

import (
	"io/fs"
	"mime"
	"path"
	"strconv"
	"strings"
)

// variants are the files that a build may put beside a file, best first: the
// same content, compressed once and not with every answer.
//
//nolint:gochecknoglobals // a constant list
var variants = []struct{ coding, extension string }{{"br", ".br"}, {"gzip", ".gz"}}

// variant opens the best variant of the file called name that the client takes
// (RFC 9110 §12.5.3). A file whose type is not known by its name has none: what
// it is would be guessed from compressed bytes.
func (h *Handler) variant(name string, accepted []string) (file fs.File, info fs.FileInfo, coding string) {
	if typeOf(name) == "" {
		return nil, nil, ""
	}
	for _, v := range variants {
		if !accepts(accepted, v.coding) {
			continue
		}
		if file, info, err := h.regular(name + v.extension); err == nil {
			return file, info, v.coding
		}
	}
	return nil, nil, ""
}

// typeOf is the media type of a name, or "".
func typeOf(name string) string {
	if known := mediaTypeOf(name); known != "" {
		return known
	}
	return mime.TypeByExtension(path.Ext(name))
}

// accepts reports whether Accept-Encoding takes a coding. A coding that is named
// counts by its own weight, else by that of "*"; without either it is not taken.
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

// hasWeight reports whether a weight is more than 0; malformed is none at all.
func hasWeight(parameters string) bool {
	name, value, found := strings.Cut(strings.TrimSpace(parameters), "=")
	if !found {
		return name == ""
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 32)
	return err == nil && strings.EqualFold(strings.TrimSpace(name), "q") && weight > 0
}

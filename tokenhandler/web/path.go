package web

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"
)

var (
	errTarget   = errors.New("the request target must be a path")
	errFragment = errors.New("the request target holds a fragment")
	errSpace    = errors.New("the request target holds a space")
	errEncoded  = errors.New("the path holds an encoded slash, backslash, dot or percent sign")
	errControl  = errors.New("the path holds a backslash or a control character")
	errText     = errors.New("the path is not UTF-8")
	errSegments = errors.New("the path holds an empty or dot segment")

	errEmptySegment = errors.New("has an empty segment")
	errDotSegment   = errors.New("has a dot segment")
)

// PlainPath refuses requests whose path another server could read as a different path. So
// the path that is checked and matched here is the one that the upstream serves (ASVS V1.1.1).
func (s *Site) PlainPath(next http.Handler) http.Handler {
	refuse := s.CORS(s.Handle(func(_ http.ResponseWriter, r *http.Request) error {
		err := CheckPath(r)
		return NewProblem(CodeInvalidRequest, err.Error(), err)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if CheckPath(r) != nil {
			refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// CheckPath returns an error that says what is ambiguous about the path of r, or nil.
func CheckPath(r *http.Request) error {
	if r.URL.Scheme != "" || r.URL.Host != "" || r.URL.Opaque != "" || !strings.HasPrefix(r.URL.Path, "/") {
		return errTarget // the absolute form, "*", or CONNECT's host
	}
	if strings.Contains(r.RequestURI, "#") {
		return errFragment // browsers do not send it, and servers differ in what they take for the path
	}
	if strings.Contains(r.RequestURI, " ") {
		return errSpace // HTTP/2 allows it, but in the HTTP/1 request to the upstream the target would end there
	}
	if hasTrickyEscape(r.URL.RawPath) {
		return errEncoded
	}
	path := r.URL.Path
	for i := range len(path) {
		switch c := path[i]; {
		case c == '\\', c < ' ', c == 0x7f:
			return errControl
		case c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]):
			return errEncoded // it was encoded twice
		}
	}
	if !utf8.ValidString(path) {
		return errText // some decoders read the overlong form %c0%af as a slash
	}
	rest := path[1:]
	for rest != "" {
		segment, after, _ := strings.Cut(rest, "/")
		// Some servers ignore path parameters: they read "..;x" as ".." and "/;x/" as "//".
		if name, _, _ := strings.Cut(segment, ";"); checkSegment(name) != nil {
			return errSegments
		}
		rest = after
	}
	return nil
}

// hasTrickyEscape reports whether raw contains an encoded dot, slash or backslash.
func hasTrickyEscape(raw string) bool {
	for i := 0; i+2 < len(raw); i++ {
		if raw[i] != '%' {
			continue
		}
		switch strings.ToLower(raw[i+1 : i+3]) {
		case "2e", "2f", "5c":
			return true
		}
	}
	return false
}

// CheckSegments reports the first empty segment ("a//b") or dot segment ("." or "..")
// of a path that has no slash at its beginning or end. Whoever normalises such a path
// gets another one. The error completes a sentence that names the path.
func CheckSegments(path string) error {
	for segment := range strings.SplitSeq(path, "/") {
		if err := checkSegment(segment); err != nil {
			return err
		}
	}
	return nil
}

func checkSegment(segment string) error {
	switch segment {
	case "":
		return errEmptySegment
	case ".", "..":
		return errDotSegment
	}
	return nil
}

// Under reports whether path equals prefix or is below it. A slash at the end of prefix
// makes no difference; /authors is not under /auth.
func Under(path, prefix string) bool {
	rest, found := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	return found && (rest == "" || rest[0] == '/')
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

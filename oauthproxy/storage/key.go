package storage

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxKey is the contract's bound of a relative key, in bytes.
	maxKey = 900
	// maxFullKey is S3's bound of a key, the folder included (FACTS S3-16).
	maxFullKey = 1024
	// maxSubject bounds a user id; Cognito's are 36 bytes.
	maxSubject = 128

	subjectMark = "{sub}"
)

var (
	errFolder  = errors.New("prefix must hold {sub} once, end with a slash and have no empty or dot segment")
	errSubject = errors.New("the subject holds other characters than A-Z a-z 0-9 _ : - or is too long")
)

// folderTemplate is where users' folders are, taken apart around the subject.
type folderTemplate struct{ before, after string }

func parseFolder(prefix string) (folderTemplate, error) {
	before, after, found := strings.Cut(prefix, subjectMark)
	segments, slash := strings.CutSuffix(strings.Replace(prefix, subjectMark, "x", 1), "/")
	if !found || !slash || strings.ContainsAny(segments, "{}") || checkKey(segments) != "" {
		return folderTemplate{}, errFolder
	}
	return folderTemplate{before: before, after: after}, nil
}

// of returns the folder of subject, trailing slash included: without the slash
// users/abc would hold users/abcd too (FACTS S3-19). A subject that is no
// single plain path segment is refused; it is not required to be a UUID,
// because not every provider's is (COG-CLM-03).
func (f folderTemplate) of(subject string) (string, error) {
	if subject == "" || len(subject) > maxSubject || strings.ContainsFunc(subject, isOutsideSubject) {
		return "", errSubject
	}
	return f.before + subject + f.after, nil
}

func isOutsideSubject(c rune) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == ':', c == '-':
		return false
	}
	return true
}

// checkKey says what is wrong with a relative key, or "". A dot segment would
// leave the folder in whatever cleans paths on the way (the browser does, so
// the signature would not match; a gateway over a file system does, so it
// would); an empty one makes nameless folders (FACTS S3-05, S3-17).
//
// A key named exactly "soap" is trouble for S3 in path style (S3-17). It needs
// no rule here: with the folder in front no full key is.
func checkKey(key string) string {
	switch {
	case key == "":
		return `"key" is required`
	case len(key) > maxKey:
		return `"key" is over 900 bytes`
	case !utf8.ValidString(key), strings.ContainsRune(key, utf8.RuneError):
		// The decoder writes U+FFFD for half a surrogate pair: the object would
		// get another name than the client asked for.
		return `"key" is not valid UTF-8`
	case strings.ContainsFunc(key, unicode.IsControl):
		return `"key" holds a control character`
	case strings.Contains(key, `\`):
		return `"key" holds a backslash`
	case strings.HasPrefix(key, "/"), strings.HasSuffix(key, "/"):
		return `"key" begins or ends with a slash`
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return `"key" holds an empty, "." or ".." segment`
		}
	}
	return ""
}

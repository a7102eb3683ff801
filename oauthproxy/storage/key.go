package storage

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// maxKey bounds a key relative to the user's folder, in bytes.
	maxKey = 900
	// maxFullKey is S3's limit for a key, the folder included, in bytes (Amazon S3 User
	// Guide, "Naming Amazon S3 objects").
	maxFullKey = 1024
)

// checkKey describes what is wrong with a key relative to the user's folder. It
// returns "" for a good key. field is what the client calls the key.
//
// A dot segment would lead out of the folder wherever paths are normalised: in a
// gateway in front of a file system, and in the browser, after which the signature
// does not match. An empty segment makes a folder without a name.
//
// A key named exactly "soap" would be a problem with S3's path-style URLs. It needs
// no rule, because every full key has the folder in front.
func checkKey(field, key string) string {
	switch {
	case key == "":
		return quoted(field) + " is required"
	case len(key) > maxKey:
		return quoted(field) + " is over 900 bytes"
	case !utf8.ValidString(key), strings.ContainsRune(key, utf8.RuneError):
		// The JSON decoder replaces half a surrogate pair with U+FFFD: the object would
		// get another name than the client asked for.
		return quoted(field) + " is not valid UTF-8"
	case strings.ContainsFunc(key, unicode.IsControl):
		return quoted(field) + " holds a control character"
	case strings.ContainsAny(key, "\ufffe\uffff"):
		// XML 1.0 has no way to write them, and S3's lists and deletions are XML.
		return quoted(field) + " holds a character that is none"
	case strings.Contains(key, `\`):
		return quoted(field) + " holds a backslash"
	case strings.HasPrefix(key, "/"), strings.HasSuffix(key, "/"):
		return quoted(field) + " begins or ends with a slash"
	case web.CheckSegments(key) != nil:
		return quoted(field) + ` holds an empty, "." or ".." segment`
	}
	return ""
}

func quoted(field string) string { return `"` + field + `"` }

// key returns the full key of a key that the client sent, or invalid_request. It is the
// only way from the one to the other.
func (q *request) key(field, relative string) (string, error) {
	if fault := checkKey(field, relative); fault != "" {
		return "", invalid(fault)
	}
	if len(q.folder)+len(relative) > maxFullKey {
		return "", invalid(fmt.Sprintf("%q is over %d bytes", field, maxFullKey-len(q.folder)))
	}
	return q.folder + relative, nil
}

// prefix is like [request.key] for the beginning of keys: "" means the user's whole
// folder, and a slash at the end is allowed.
func (q *request) prefix(field, relative string) (string, error) {
	if relative == "" {
		return q.folder, nil
	}
	trimmed := strings.TrimSuffix(relative, "/")
	if trimmed == "" {
		return "", invalid(quoted(field) + " begins or ends with a slash")
	}
	if _, err := q.key(field, trimmed); err != nil {
		return "", err
	}
	return q.folder + relative, nil
}

// relative returns what clients call the object with a full key. It reports false for
// an object that no client can name, such as the empty object "photos/" with which
// S3's console shows a folder.
func (q *request) relative(full string) (string, bool) {
	relative, ok := strings.CutPrefix(full, q.folder)
	return relative, ok && checkKey("key", relative) == ""
}

const (
	// subjectMark stands for the user's id in a folder's pattern.
	subjectMark = "{sub}"
	// maxPrefix bounds the pattern of a user's folder, in bytes.
	maxPrefix = 100
	// maxSubject bounds a user's id, in bytes. Cognito's have 36.
	maxSubject = 128
)

var (
	errPrefixStart   = errors.New("starts with /")
	errPrefixEnd     = errors.New("does not end with /")
	errPrefixSubject = errors.New("does not contain {sub} exactly once, as a whole segment")
	errPrefixLong    = errors.New("is longer than 100 bytes")
	errPrefixChars   = errors.New("holds characters other than letters, digits and -._~ between the slashes")
	errSubject       = errors.New("the subject holds other characters than A-Z a-z 0-9 _ : - or is too long")
)

// folderPattern is the pattern of a user's folder, split at the subject.
type folderPattern struct{ before, after string }

// CheckPrefix reports what is wrong with the pattern of a user's folder, such as
// users/{sub}/. {sub} must be a whole segment: in users-{sub}-x/ one user's folder
// could be a prefix of another's. The error completes a sentence that names the
// pattern.
func CheckPrefix(prefix string) error {
	_, err := parsePrefix(prefix)
	return err
}

func parsePrefix(prefix string) (folderPattern, error) {
	before, after, _ := strings.Cut(prefix, subjectMark)
	others := before + strings.TrimPrefix(after, "/") // the segments besides {sub}
	switch {
	case strings.HasPrefix(prefix, "/"):
		return folderPattern{}, errPrefixStart
	case !strings.HasSuffix(prefix, "/"):
		return folderPattern{}, errPrefixEnd
	case strings.Count("/"+prefix, "/"+subjectMark+"/") != 1 || strings.Count(prefix, "{") != 1:
		return folderPattern{}, errPrefixSubject
	case len(prefix) > maxPrefix:
		return folderPattern{}, errPrefixLong
	case others == "":
		return folderPattern{before: before, after: after}, nil
	}
	if err := web.CheckSegments(strings.TrimSuffix(others, "/")); err != nil {
		return folderPattern{}, err
	}
	if strings.ContainsFunc(others, isOutsidePrefix) {
		return folderPattern{}, errPrefixChars
	}
	return folderPattern{before: before, after: after}, nil
}

// FolderOf returns a function that returns the folder of a user, or an error for a
// subject that cannot name one. A folder consists of letters, digits and -._~:/ only.
// prefix must be one that [CheckPrefix] accepts.
func FolderOf(prefix string) (func(subject string) (string, error), error) {
	folders, err := parsePrefix(prefix)
	if err != nil {
		return nil, fault("prefix", prefix, err)
	}
	return folders.folderOf, nil
}

// folderOf returns the folder of subject, with a slash at its end: without it
// users/abc would contain users/abcd as well. A subject that is not a single plain
// path segment is refused. It need not be a UUID, because not every provider's is.
func (p folderPattern) folderOf(subject string) (string, error) {
	if subject == "" || len(subject) > maxSubject || strings.ContainsFunc(subject, isOutsideSubject) {
		return "", errSubject
	}
	return p.before + subject + p.after, nil
}

func isOutsideSubject(c rune) bool { return !isAlphanumeric(c) && !strings.ContainsRune("_:-", c) }

func isOutsidePrefix(c rune) bool { return !isAlphanumeric(c) && !strings.ContainsRune("/-._~", c) }

func isAlphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

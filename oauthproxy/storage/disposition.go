package storage

import (
	"fmt"
	"mime"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName bounds the file name of a download, in bytes.
const maxName = 255

// dispositionOf returns the Content-Disposition of a download, put together anew, and
// never as it was stored. It is an attachment if the client asks for one with a name
// (or with "", for the object's own), if the object was stored as one, or if the type
// is not safe to open.
func dispositionOf(key, contentType, stored string, download *string) string {
	kind, params, err := mime.ParseMediaType(stored)
	name := path.Base(key)
	if err == nil && params["filename"] != "" {
		name = params["filename"]
	}
	if download != nil && *download != "" {
		name = *download
	}
	if download != nil || err == nil && kind == "attachment" || !opensSafely(contentType) {
		return withName("attachment", name)
	}
	return withName("inline", name)
}

// withName adds a file name in both forms of RFC 6266: in ASCII for old clients, and in
// UTF-8 (RFC 8187) if that differs.
func withName(kind, name string) string {
	name = strings.ToValidUTF8(strings.Map(harmless, name), "_")
	ascii := strings.Map(func(c rune) rune {
		if c > '~' || c == '%' { // some clients decode percent signs in this form
			return '_'
		}
		return c
	}, name)
	if ascii == name {
		return fmt.Sprintf(`%s; filename="%s"`, kind, name)
	}
	return fmt.Sprintf(`%s; filename="%s"; filename*=UTF-8''%s`, kind, ascii, extended(name))
}

// harmless replaces what cannot stand in a quoted string or in a file's name, and the
// marks that change the direction of text: with one, "gpj.exe" shows as "exe.jpg".
func harmless(c rune) rune {
	if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || strings.ContainsRune(`"\/:*?<>|`, c) {
		return '_'
	}
	return c
}

// extended encodes all bytes but those that RFC 8187 §3.2.1 allows as they are.
func extended(name string) string {
	var out strings.Builder
	for i := range len(name) {
		if c := name[i]; c < utf8.RuneSelf && (isAlphanumeric(rune(c)) || strings.IndexByte("!#$&+-.^_`|~", c) >= 0) {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

// checkName describes what is wrong with the name of a download.
func checkName(name string) string {
	switch {
	case len(name) > maxName:
		return `"download" is over 255 bytes`
	case !utf8.ValidString(name):
		return `"download" is not valid UTF-8`
	case strings.ContainsFunc(name, unicode.IsControl), strings.ContainsAny(name, `/\`):
		return `"download" holds a slash, a backslash or a control character`
	}
	return ""
}

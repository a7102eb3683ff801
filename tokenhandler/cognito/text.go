package cognito

import (
	"strings"
	"unicode/utf8"
)

// maxText is the largest length, in bytes, of a provider's text in a log.
const maxText = 200

// bounded returns a provider's text for an attribute of a log record, which the log
// escapes.
func bounded(text string) string {
	if len(text) <= maxText {
		return strings.ToValidUTF8(text, "�")
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.ToValidUTF8(text[:end], "�") + "…"
}

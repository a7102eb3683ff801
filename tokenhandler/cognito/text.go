package cognito

import (
	"regexp"
	"strconv"
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

// tokenLike matches what could be a token, a code or a secret: a JWT, and a longer run
// of letters and digits than words have (OWASP ASVS 5.0, V16.2.5).
var tokenLike = regexp.MustCompile(`eyJ[A-Za-z0-9_-]*|[A-Za-z0-9_~+/=-]{24,}`)

// quoted returns a provider's text for the sentence of an error: shortened, in quotes,
// escaped, and without what could be a token. It is "" without a text.
func quoted(text string) string {
	if text == "" {
		return ""
	}
	return strconv.QuoteToASCII(bounded(tokenLike.ReplaceAllString(text, "[removed]")))
}

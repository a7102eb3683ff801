package session

import (
	"strconv"
	"strings"
)

// prefix begins the names of cookies that no script and no other host can set.
const prefix = "__Host-Http-"

// Withheld reports whether a cookie of this name must not reach an upstream: it is a
// cookie of this service, or may be one of another service like this on the same host.
// An upstream that gets such a cookie could use it there. These are all names that begin
// with __Host-Http- (browsers compare the prefix without regard to case), and all that
// [NewLoopbackNames] makes.
func (n Names) Withheld(name string) bool {
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) || n.Ours(name) || isLoopbackName(name)
}

// isLoopbackName reports whether [NewLoopbackNames] makes this name for some app.
func isLoopbackName(name string) bool {
	for _, kind := range [...]string{"session-", "active-", "login-", "began-"} {
		for from := 0; ; {
			at := strings.Index(name[from:], kind)
			if at < 0 {
				break
			}
			at += from
			from = at + len(kind)
			if (at == 0 || name[at-1] == '-') && beginsWithPort(name[from:]) {
				return true
			}
		}
	}
	return false
}

// beginsWithPort reports whether the text is a port, or one and then a dot or a dash.
func beginsWithPort(text string) bool {
	if end := strings.IndexAny(text, ".-"); end >= 0 {
		text = text[:end]
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0 && text[0] != '0'
}

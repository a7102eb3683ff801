package oauthproxy

import (
	"net/url"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// match returns the route with the longest prefix of target. It returns nil if there
// is none, and also if an upstream that reads paths more loosely could take target for
// the path of another route: the rules of that route would be bypassed.
func (h *Handler) match(target string) *route {
	for i, r := range h.routes {
		if !strings.HasPrefix(target, r.Path) {
			continue
		}
		if isPlain(target) {
			if h.isLooselyUnderLonger(i, target, func(longer *route) string { return longer.Path }) {
				return nil
			}
			return r
		}
		for n, reading := range readingsOf(target) {
			ofRoute := func(r *route) string { return r.readings[n] }
			if !isLooselyUnder(reading, ofRoute(r)) || h.isLooselyUnderLonger(i, reading, ofRoute) {
				return nil
			}
		}
		return r
	}
	return nil
}

// isLooselyUnderLonger reports whether a reading of a path is loosely under a route with a
// longer path than the route with the given index. pathOf returns a route's path in the
// same reading.
func (h *Handler) isLooselyUnderLonger(index int, reading string, pathOf func(*route) string) bool {
	for _, longer := range h.routes[:index] {
		if len(longer.Path) > len(h.routes[index].Path) && isLooselyUnder(reading, pathOf(longer)) {
			return true
		}
	}
	return false
}

// isPlain reports whether all readings of target are the same.
func isPlain(target string) bool {
	previous := byte('/')
	for i := range len(target) {
		c := target[i]
		atEdge := previous == '/' || previous == '.' || i+1 == len(target) || target[i+1] == '/'
		if c >= utf8.RuneSelf || c == ';' || c == ' ' || c == '%' || c == '.' && atEdge {
			return false
		}
		previous = c
	}
	return true
}

const numReadings = 3

// readingsOf returns what upstreams could take target for. All of them ignore path
// parameters and have letters in their usual form, fullwidth ones for example (Unicode
// Standard Annex #15, NFKC). The second one has no blanks at the beginning and the end of a
// segment, the third one no dots either, as on Windows.
func readingsOf(target string) [numReadings]string {
	usual := inUsualLetters(target)
	segments := strings.Split(usual, "/")
	for i, segment := range segments {
		segments[i], _, _ = strings.Cut(segment, ";")
	}
	var readings [numReadings]string
	for n, trim := range [numReadings]func(rune) bool{
		func(rune) bool { return false },
		unicode.IsSpace,
		func(r rune) bool { return r == '.' || unicode.IsSpace(r) },
	} {
		trimmed := make([]string, len(segments))
		for i, segment := range segments {
			trimmed[i] = strings.TrimFunc(segment, trim)
		}
		readings[n] = path.Clean(strings.Join(trimmed, "/"))
	}
	return readings
}

// inUsualLetters normalises target. What then looks like an escape is decoded, and characters
// that cannot be seen are left out.
func inUsualLetters(target string) string {
	usual := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, norm.NFKC.String(target))
	if decoded, err := url.PathUnescape(usual); err == nil {
		usual = decoded
	}
	return strings.ReplaceAll(usual, `\`, "/")
}

// isLooselyUnder reports whether target is under prefix for a server that ignores case
// and a slash at the end. It compares as many segments as prefix has and not as many
// bytes, because letters that differ only in case can differ in length (U+017F is an s).
func isLooselyUnder(target, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	slashes := strings.Count(prefix, "/") + 1
	for i := range len(target) {
		if target[i] != '/' {
			continue
		}
		if slashes--; slashes == 0 {
			target = target[:i]
			break
		}
	}
	return strings.EqualFold(target, prefix)
}

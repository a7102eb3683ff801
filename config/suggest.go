package config

import (
	"strconv"
	"strings"
	"unicode"
)

// maxKey is the length in bytes beyond which a key is not taken for a misspelt one.
const maxKey = 60

const seeReference = "remove it; config/reference.md lists every key"

// showKey shortens a key of the file for a fault and escapes control characters.
func showKey(key string) string {
	if len(key) > maxKey {
		key = key[:maxKey] + "…"
	}
	if strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(key)
	}
	return key
}

// suggest returns the fix for an unknown key: the key that was probably meant.
func suggest(label, key string, table []option) string {
	names := make([]string, 0, 2*len(table))
	for _, o := range table {
		names = append(names, o.key)
	}
	for s := range sections(table) {
		names = append(names, s)
	}
	if best := nearest(key, names); best != "" {
		return "did you mean " + label + best + "?"
	}
	return seeReference
}

// nearest returns the name that key is a misspelling of, or the name whose last part
// is key; "" if there is none.
func nearest(key string, names []string) string {
	if len(key) > maxKey {
		return ""
	}
	best, least := "", 1+max(1, min(3, len(key)/4))
	for _, name := range names {
		d := distance(key, name)
		if d < least || d == least && best != "" && name < best {
			best, least = name, d
		}
	}
	if best != "" {
		return best
	}
	last := key[strings.LastIndexByte(key, '.')+1:]
	for _, name := range names {
		if strings.HasSuffix(name, "."+last) && (best == "" || name < best) {
			best = name
		}
	}
	return best
}

// distance returns the Levenshtein distance of a and b: the number of bytes to
// insert, remove or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

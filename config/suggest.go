package config

import (
	"strconv"
	"strings"
	"unicode"
)

// maxKey is where a key is surely not a misspelt one.
const maxKey = 60

const seeReference = "remove it; config/reference.md lists every key"

// showKey makes a key that the operator wrote fit for a terminal.
func showKey(key string) string {
	if len(key) > maxKey {
		key = key[:maxKey] + "…"
	}
	if strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(key)
	}
	return key
}

// suggest is the fix for an unknown key: the one that was probably meant.
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

// nearest is the name that key is a misspelling of, or whose last part it is;
// empty if there is none.
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

// distance is Levenshtein's: single insertions, removals and changes.
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

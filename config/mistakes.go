package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

var (
	// placeholder matches what a template engine or a shell should have replaced, as
	// a whole value: ${NAME}, $(NAME), $NAME, {{ name }}, %NAME%, <name>, CHANGE-ME.
	placeholder = regexp.MustCompile(`^(?:\$\{[^{}]*\}|\$\([^()]*\)|\$[A-Z_][A-Z0-9_]*|\{\{.*\}\}|%[A-Za-z_][A-Za-z0-9_]*%|<[^<>]*>|(?i:change|replace)[-_ ]?(?i:me))$`)
	// embedded matches those of them that stand out in a longer value.
	embedded = regexp.MustCompile(`\$\{[^{}]*\}|\$\([A-Za-z_][A-Za-z0-9_]*\)|\{\{.*\}\}`)
)

// labelled matches a secret with its name in front, as files of variables, YAML and JSON
// have it. A base64 value with = at its end, and a store's URL (valkey://), do not match.
var labelled = regexp.MustCompile(`(?i)^(?:(?:export\s+)?[a-z_.-]*(?:secret|key|token|password)[a-z_]*\s*(?:=\s*[^=\s]|:\s+\S|:[^/\s])|\{\s*(?:"|$))`)

const placeholderFix = "write the value itself: nothing replaces variables in the configuration"

// mistaken returns what is wrong with a value that its parser may accept and that
// nobody means: a placeholder, quotes that belong to another notation, a character
// that cannot be seen. It does not quote the value, which may be a secret.
func mistaken(s string) *invalid {
	switch {
	case placeholder.MatchString(s):
		return &invalid{"is a placeholder that was not replaced", placeholderFix}
	case isQuoted(s):
		return &invalid{"has quotes around it that are part of the value", "remove them: an environment variable needs none, a file one pair"}
	}
	for _, r := range s {
		if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zs, r) && r != ' ' {
			return &invalid{fmt.Sprintf("contains the invisible character U+%04X", r), "type the value again instead of copying it"}
		}
	}
	return nil
}

// isQuoted reports whether s begins and ends with the same kind of quotes.
func isQuoted(s string) bool {
	for _, pair := range []string{`""`, `''`, "``", "“”", "‘’", "„“"} {
		quotes := []rune(pair)
		if inner, ok := strings.CutPrefix(s, string(quotes[0])); ok && strings.HasSuffix(inner, string(quotes[1])) {
			return true
		}
	}
	return false
}

// meant returns a parser for values that are no secrets. It refuses what is mistaken
// before it calls parse.
func meant[T any](parse parser[T]) parser[T] {
	return func(s string) (T, *invalid) {
		bad := mistaken(s)
		if bad == nil && embedded.MatchString(s) {
			bad = &invalid{quote(s) + " contains a placeholder that was not replaced", placeholderFix}
		}
		if bad != nil {
			var none T
			return none, bad
		}
		return parse(s)
	}
}

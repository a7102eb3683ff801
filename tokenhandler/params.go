package tokenhandler

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	errBadQuery  = errors.New("the query cannot be parsed")
	errRepeated  = errors.New("a query parameter stands there twice")
	errLoginOver = errors.New("the login took too long")
)

// passed are the parameters that a login passes to the provider, and what is
// well-formed in each (FACTS COG-AUTH-02).
//
//nolint:gochecknoglobals // a constant table
var passed = map[string]func(string) bool{
	"identity_provider": func(v string) bool { return isPrintable(v, 128) },
	"idp_identifier":    func(v string) bool { return isPrintable(v, 128) },
	"login_hint":        func(v string) bool { return isPrintable(v, 256) },
	"lang":              regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`).MatchString,
	"prompt":            isPrompt,
	"max_age":           isSeconds,
}

// passThrough picks the parameters to pass on. Unknown ones are ignored; a
// malformed one is an error that names it.
func passThrough(query map[string]string) (map[string]string, error) {
	extra := make(map[string]string)
	for name, wellFormed := range passed {
		value, there := query[name]
		if !there {
			continue
		}
		if !wellFormed(value) {
			return nil, fmt.Errorf("the parameter %s is malformed", name)
		}
		extra[name] = value
	}
	return extra, nil
}

func isPrintable(v string, limit int) bool {
	return v != "" && len(v) <= limit && utf8.ValidString(v) &&
		!strings.ContainsFunc(v, func(c rune) bool { return !unicode.IsPrint(c) })
}

// isPrompt: OIDC Core §3.1.2.1. none stands alone.
func isPrompt(v string) bool {
	words := strings.Split(v, " ")
	seen := make(map[string]bool, len(words))
	for _, word := range words {
		switch word {
		case "none", "login", "select_account", "consent":
		default:
			return false
		}
		if seen[word] {
			return false
		}
		seen[word] = true
	}
	return !seen["none"] || len(words) == 1
}

func isSeconds(v string) bool {
	n, err := strconv.ParseInt(v, 10, 64)
	return err == nil && n >= 0 && n <= 400*24*3600 && strconv.FormatInt(n, 10) == v
}

package tokenhandler

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	errBadQuery  = errors.New("the query cannot be parsed")
	errRepeated  = errors.New("a query parameter is repeated")
	errLoginOver = errors.New("the login took too long")
)

// passed are the parameters that a login passes to the provider, each with the check
// of its value. Cognito's "Authorize endpoint" documents them.
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

// passThrough returns the parameters to pass to the provider. It ignores unknown
// ones. The error names a malformed one.
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

// isPrompt reports whether v is a list of prompt values without repetitions, in which
// none stands alone (OpenID Connect Core 1.0 §3.1.2.1).
func isPrompt(v string) bool {
	values := strings.Split(v, " ")
	seen := make(map[string]bool, len(values))
	for _, value := range values {
		switch value {
		case "none", "login", "select_account", "consent":
		default:
			return false
		}
		if seen[value] {
			return false
		}
		seen[value] = true
	}
	return !seen["none"] || len(values) == 1
}

func isSeconds(v string) bool {
	n, err := strconv.ParseInt(v, 10, 64)
	return err == nil && n >= 0 && n <= 400*24*3600 && strconv.FormatInt(n, 10) == v
}

// singleValues parses a query in which no parameter is repeated. Of two values,
// different parsers would use different ones (ASVS V15.3.7).
func singleValues(raw string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errBadQuery
	}
	single := make(map[string]string, len(values))
	for name, list := range values {
		if len(list) > 1 {
			return nil, errRepeated
		}
		single[name] = list[0]
	}
	return single, nil
}

// isPrefetch reports whether the browser loads the page before the user has asked for
// it. That must not start a login, or use up the state of a callback.
func isPrefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} {
		if value := r.Header.Get(name); value == "prefetch" || len(value) > 9 && value[:9] == "prefetch;" {
			return true
		}
	}
	return false
}

// isNavigation reports whether the user navigates to the page in a top-level window.
// It also accepts requests of browsers without Fetch Metadata. A navigation that the
// app's service worker passes on has an empty destination; no script can set the mode
// "navigate" otherwise (Fetch standard §5.4).
func isNavigation(r *http.Request) bool {
	switch dest := r.Header.Get("Sec-Fetch-Dest"); r.Header.Get("Sec-Fetch-Mode") {
	case "navigate":
		return dest == "" || dest == "document" || dest == "empty"
	case "":
		return dest == "" || dest == "document"
	}
	return false
}

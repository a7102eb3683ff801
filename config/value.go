package config

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// wrong is what a parser has against a value. It must not quote a secret.
type wrong struct{ problem, fix string }

// parser turns one written value into T.
type parser[T any] func(s string) (T, *wrong)

// one is an option with a single value.
func one[T any](dst *T, kind string, parse parser[T]) value {
	return value{kind: kind, form: formScalar, read: func(n *yaml.Node, fault report) {
		s, ok := scalar(n, "", fault)
		if !ok {
			return
		}
		v, bad := parse(s)
		if bad != nil {
			fault(n, "", bad.problem, bad.fix)
			return
		}
		*dst = v
	}}
}

// many is an option with a list of values. An empty list is a value too.
func many[T any](dst *[]T, kind string, parse parser[T]) value {
	return value{kind: kind, form: formList, read: func(n *yaml.Node, fault report) {
		if n.Kind == yaml.AliasNode {
			return
		}
		if n.Kind != yaml.SequenceNode {
			fault(n, "", "is not a list", "write it as [first, second] or with one \"- item\" a line")
			return
		}
		list, ok := items(n, parse, fault)
		if ok {
			*dst = list
		}
	}}
}

// items parses every item, so that all faults are found.
func items[T any](n *yaml.Node, parse parser[T], fault report) (list []T, ok bool) {
	list, ok = []T{}, true
	for i, item := range n.Content {
		sub := fmt.Sprintf("[%d]", i)
		s, fine := scalar(item, sub, fault)
		if !fine {
			ok = false
			continue
		}
		v, bad := parse(s)
		if bad != nil {
			fault(item, sub, bad.problem, bad.fix)
			ok = false
			continue
		}
		list = append(list, v)
	}
	return list, ok
}

// scalar is the text of a single value. Taking the text and not YAML's idea of
// a type keeps 0123 and 1e5 what the operator wrote.
func scalar(n *yaml.Node, sub string, fault report) (string, bool) {
	switch {
	case n.Kind == yaml.AliasNode: // reported by scan
		return "", false
	case n.Kind != yaml.ScalarNode:
		fault(n, sub, "is not a single value", "write one value behind the colon")
		return "", false
	case n.ShortTag() == "!!null":
		fault(n, sub, "has no value", "give it one or remove the line")
		return "", false
	}
	return n.Value, true
}

// quote shows a value in a fault, short and without control characters. What
// holds an @ might be a password in a URL and is not shown.
func quote(s string) string {
	const most = 80
	switch {
	case s == "":
		return "an empty value"
	case strings.Contains(s, "@"):
		return "the value"
	case utf8.RuneCountInString(s) > most:
		return strconv.Quote(string([]rune(s)[:most])) + "…"
	}
	return strconv.Quote(s)
}

// parseText takes any printable text, or none.
func parseText(s string) (string, *wrong) {
	if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
		return "", &wrong{"holds control characters", "write it as plain text on one line"}
	}
	return s, nil
}

// parseWord takes text without spaces, not empty.
func parseWord(s string) (string, *wrong) {
	if s == "" || strings.ContainsFunc(s, unicode.IsSpace) {
		return "", &wrong{quote(s) + " is not a name without spaces", "write one name"}
	}
	return parseText(s)
}

// parsePath takes the path of a file or directory, not empty.
func parsePath(s string) (string, *wrong) {
	if s == "" {
		return "", &wrong{"is empty", "write a path or remove it"}
	}
	return parseText(s)
}

func parseBool(s string) (bool, *wrong) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, &wrong{quote(s) + " is neither true nor false", "write true or false"}
}

// oneOf takes exactly the given words.
func oneOf(words ...string) parser[string] {
	return func(s string) (string, *wrong) {
		if slices.Contains(words, s) {
			return s, nil
		}
		return "", &wrong{quote(s) + " is not one of the possible values", "write " + alternatives(words)}
	}
}

func alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// parseDuration takes Go's durations from least to most.
func parseDuration(least, most time.Duration) parser[time.Duration] {
	return func(s string) (time.Duration, *wrong) {
		d, err := time.ParseDuration(s)
		switch {
		case err != nil:
			return 0, &wrong{quote(s) + " is not a duration", "write a number with its unit, such as 90s, 15m or 12h"}
		case d < least:
			return 0, &wrong{quote(s) + " is too short", "write at least " + showDuration(least)}
		case d > most:
			return 0, &wrong{quote(s) + " is too long", "write at most " + showDuration(most)}
		}
		return d, nil
	}
}

// showDuration leaves out the zero parts that time.Duration prints: 12h0m0s.
func showDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// parseCount takes a whole number from least to most.
func parseCount(least, most int) parser[int] {
	return func(s string) (int, *wrong) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return 0, &wrong{quote(s) + " is not a possible number", fmt.Sprintf("write a whole number from %d to %d", least, most)}
		}
		return n, nil
	}
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,15}) ?(|B|KiB|MiB|GiB)$`)

// parseSize takes bytes from least to most.
func parseSize(least, most int64) parser[int64] {
	return func(s string) (int64, *wrong) {
		m := sizePattern.FindStringSubmatch(s)
		if m == nil {
			return 0, &wrong{quote(s) + " is not a size", "write bytes, or a whole number with its unit, such as 64KiB, 100MiB or 5GiB"}
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		shift := map[string]uint{"KiB": 10, "MiB": 20, "GiB": 30}[m[2]]
		switch {
		case err != nil || n > math.MaxInt64>>shift || n<<shift > most:
			return 0, &wrong{quote(s) + " is too large", "write at most " + showSize(most)}
		case n<<shift < least:
			return 0, &wrong{quote(s) + " is too small", "write at least " + showSize(least)}
		}
		return n << shift, nil
	}
}

func showSize(n int64) string {
	for _, unit := range []struct {
		name  string
		bytes int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return strconv.FormatInt(n/unit.bytes, 10) + unit.name
		}
	}
	return strconv.FormatInt(n, 10)
}

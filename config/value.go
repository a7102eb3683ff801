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

// invalid says why a parser refuses a value, and what to write instead. It must not
// quote a secret.
type invalid struct{ problem, fix string }

// parser parses the text of one value.
type parser[T any] func(s string) (T, *invalid)

// one makes the value of an option that takes a single value.
func one[T any](dst *T, kind string, parse parser[T]) value {
	parse = meant(parse)
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

// many makes the value of an option that takes a list. The list may be empty.
func many[T any](dst *[]T, kind string, parse parser[T]) value {
	return value{kind: kind, form: formList, read: func(n *yaml.Node, fault report) {
		if n.Kind == yaml.AliasNode {
			return
		}
		if n.Kind != yaml.SequenceNode {
			fault(n, "", "is not a list", "write it as [first, second], or as one \"- item\" per line")
			return
		}
		list, ok := items(n, meant(parse), fault)
		if ok {
			*dst = list
		}
	}}
}

// items parses all items even after a fault, so that all faults are reported.
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

// scalar returns the text of a single value. YAML's types are ignored, so that
// 0123 and 1e5 stay as the operator wrote them.
func scalar(n *yaml.Node, sub string, fault report) (string, bool) {
	switch {
	case n.Kind == yaml.AliasNode: // reported by scan
		return "", false
	case n.Kind != yaml.ScalarNode:
		fault(n, sub, "is not a single value", "write one value after the colon")
		return "", false
	case n.ShortTag() == "!!null":
		fault(n, sub, "has no value", "give it one or remove the line")
		return "", false
	}
	return n.Value, true
}

// quote quotes a value for a fault, shortened and with control characters escaped.
// A value with an @ is not quoted: it may be a URL with a password.
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

// parseText accepts text without control characters; it may be empty.
func parseText(s string) (string, *invalid) {
	if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
		return "", &invalid{"contains control characters", "write it as plain text on one line"}
	}
	return s, nil
}

// parseWord accepts text without spaces that is not empty.
func parseWord(s string) (string, *invalid) {
	if s == "" || strings.ContainsFunc(s, unicode.IsSpace) {
		return "", &invalid{quote(s) + " is not a name without spaces", "write one name"}
	}
	return parseText(s)
}

// parsePath accepts the path of a file or directory. It does not look whether it
// exists.
func parsePath(s string) (string, *invalid) {
	if s == "" {
		return "", &invalid{"is empty", "write a path or remove it"}
	}
	return parseText(s)
}

func parseBool(s string) (bool, *invalid) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, &invalid{quote(s) + " is neither true nor false", "write true or false"}
}

// oneOf accepts exactly the given words.
func oneOf(words ...string) parser[string] {
	return func(s string) (string, *invalid) {
		if slices.Contains(words, s) {
			return s, nil
		}
		return "", &invalid{quote(s) + " is not one of the possible values", "write " + alternatives(words)}
	}
}

func alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// parseDuration accepts durations in Go's notation from least to most.
func parseDuration(least, most time.Duration) parser[time.Duration] {
	return func(s string) (time.Duration, *invalid) {
		d, err := time.ParseDuration(s)
		switch {
		case err != nil:
			return 0, &invalid{quote(s) + " is not a duration", "write a number with its unit, such as 90s, 15m or 12h"}
		case d < least:
			return 0, &invalid{quote(s) + " is too short", "write at least " + showDuration(least)}
		case d > most:
			return 0, &invalid{quote(s) + " is too long", "write at most " + showDuration(most)}
		}
		return d, nil
	}
}

// showDuration formats d without the zero parts that time.Duration prints: 12h, not
// 12h0m0s.
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

// parseCount accepts whole numbers from 1 to most.
func parseCount(most int) parser[int] {
	return func(s string) (int, *invalid) {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > most {
			return 0, &invalid{quote(s) + " is not a number in the allowed range", fmt.Sprintf("write a whole number from 1 to %d", most)}
		}
		return n, nil
	}
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,15}) ?(|B|KiB|MiB|GiB)$`)

// parseSize accepts sizes from least to most bytes.
func parseSize(least, most int64) parser[int64] {
	return func(s string) (int64, *invalid) {
		m := sizePattern.FindStringSubmatch(s)
		if m == nil {
			return 0, &invalid{quote(s) + " is not a size", "write bytes, or a whole number with its unit, such as 64KiB, 100MiB or 5GiB"}
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		shift := map[string]uint{"KiB": 10, "MiB": 20, "GiB": 30}[m[2]]
		switch {
		case err != nil || n > math.MaxInt64>>shift || n<<shift > most:
			return 0, &invalid{quote(s) + " is too large", "write at most " + showSize(most)}
		case n<<shift < least:
			return 0, &invalid{quote(s) + " is too small", "write at least " + showSize(least)}
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

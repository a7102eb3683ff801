package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"cognito-token-handler/tokenhandler/secret"
)

const (
	keyBytes      = 32
	maxKeys       = 16
	maxSecrets    = 4
	maxSecretFile = 64 << 10
	keyFix        = "make one with `tokenhandler keygen`"
)

// secretRule is what a kind of secret must look like.
type secretRule struct {
	most     int
	comments bool // lines that begin with # are skipped in files
	parse    parser[secret.String]
}

// secrets is an option of one secret or a list.
func secrets(dst *[]secret.String, kind string, rule secretRule) value {
	return value{kind: kind, form: formLines, read: func(n *yaml.Node, fault report) {
		if n.Kind != yaml.SequenceNode {
			s, ok := scalar(n, "", fault)
			if !ok {
				return
			}
			if rule.comments { // base64 has no commas
				s = strings.ReplaceAll(s, ",", "\n")
			}
			n = lines([]byte(s), n.Line, rule.comments)
			if len(n.Content) == 1 { // not a list to the one who wrote it
				list := fault
				fault = func(item *yaml.Node, _, problem, fix string) { list(item, "", problem, fix) }
			}
		}
		if len(n.Content) == 0 {
			fault(n, "", "is empty", "give it a value or remove it")
			return
		}
		if list, ok := items(n, rule.parse, fault); ok && distinct(n, list, rule, fault) {
			*dst = list
		}
	}}
}

// distinct refuses too many secrets and repeated ones.
func distinct(n *yaml.Node, list []secret.String, rule secretRule, fault report) bool {
	if len(list) > rule.most {
		fault(n, "", fmt.Sprintf("holds %d values", len(list)), fmt.Sprintf("keep at most %d", rule.most))
		return false
	}
	seen, ok := map[[sha256.Size]byte]int{}, true
	for i, s := range list {
		sum := sha256.Sum256([]byte(s.Reveal()))
		if first, again := seen[sum]; again {
			fault(n.Content[i], fmt.Sprintf("[%d]", i), fmt.Sprintf("repeats value %d", first+1), "remove one of them")
			ok = false
			continue
		}
		seen[sum] = i
	}
	return ok
}

// single is an option of exactly one secret.
func single(dst *secret.String, kind string, rule secretRule) value {
	rule.most = 1
	var list []secret.String
	v := secrets(&list, kind, rule)
	return value{kind: kind, form: formLines, read: func(n *yaml.Node, fault report) {
		if n.Kind == yaml.SequenceNode {
			fault(n, "", "is not a single value", "write one value behind the colon")
			return
		}
		v.read(n, fault)
		if len(list) == 1 {
			*dst = list[0]
		}
	}}
}

// secretFile is the …_file variant of a secret: the same rules for what the
// file holds, one value a line.
func secretFile(path *string, of value, rule secretRule, readFile func(string) ([]byte, error)) value {
	return value{kind: "file", form: formScalar, read: func(n *yaml.Node, fault report) {
		name, ok := scalar(n, "", fault)
		if !ok {
			return
		}
		// The path is not repeated: what stands here by mistake may be the secret.
		if name == "" {
			fault(n, "", "is empty", "write the path of a file")
			return
		}
		content, bad := readSecret(name, readFile)
		if bad != nil {
			fault(n, "", bad.problem, bad.fix)
			return
		}
		*path = name
		list := lines(content, n.Line, rule.comments)
		if len(list.Content) == 0 {
			fault(n, "", "names a file that is empty", "write the secret into the file")
			return
		}
		inFile := func(item *yaml.Node, sub, problem, fix string) {
			if sub != "" {
				problem = fmt.Sprintf("names a file whose line %d %s", item.Column, problem)
			} else {
				problem = "names a file that " + problem
			}
			fault(n, "", problem, fix)
		}
		if rule.most == 1 && len(list.Content) > 1 {
			inFile(n, "", fmt.Sprintf("holds %d values", len(list.Content)), "keep one line")
			return
		}
		if rule.most == 1 {
			of.read(list.Content[0], inFile)
			return
		}
		of.read(list, inFile)
	}}
}

func readSecret(name string, readFile func(string) ([]byte, error)) ([]byte, *wrong) {
	content, err := readFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &wrong{"names a file that does not exist", "check the path, and that the secret is mounted"}
	case errors.Is(err, fs.ErrPermission):
		return nil, &wrong{"names a file that may not be read", "give the service's user the right to read it"}
	case err != nil:
		return nil, &wrong{"names a file that cannot be read", "check the path and the file"}
	case len(content) > maxSecretFile:
		return nil, &wrong{"names a file that is over 64KiB", "check the path"}
	}
	return content, nil
}

// lines makes a list of the lines that hold something. An item's Column is the
// number of its line in the text.
func lines(text []byte, at int, comments bool) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: at}
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\ufeff"))) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || comments && line[0] == '#' {
			continue
		}
		list.Content = append(list.Content, &yaml.Node{
			Kind: yaml.ScalarNode, Tag: "!!str", Value: string(line), Line: at, Column: number,
		})
	}
	return list
}

func clientSecretRule() secretRule {
	return secretRule{most: maxSecrets, parse: func(s string) (secret.String, *wrong) {
		if s == "" {
			return secret.String{}, &wrong{"is empty", "give it a value or remove it"}
		}
		if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
			return secret.String{}, &wrong{"holds control characters", "copy the secret again"}
		}
		return secret.New(s), nil
	}}
}

// storeRule takes the URL of the shared store. It is not repeated in faults: it
// may hold a password.
func storeRule() secretRule {
	return secretRule{most: 1, parse: func(s string) (secret.String, *wrong) {
		const fix = "write valkey://host:6379/0, redis://…, or with TLS valkeys://… or rediss://…"
		u, err := url.Parse(s)
		if err != nil || !slices.Contains([]string{"valkey", "valkeys", "redis", "rediss"}, u.Scheme) {
			return secret.String{}, &wrong{"is not the URL of a Valkey or Redis server", fix}
		}
		database := strings.Trim(u.Path, "/")
		_, notNumber := strconv.ParseUint(database, 10, 16)
		if u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || database != "" && notNumber != nil {
			return secret.String{}, &wrong{"is not only scheme, user, host, port and the number of a database", fix}
		}
		return secret.New(s), nil
	}}
}

// minHeaderSecret is the length in characters from where guessing is hopeless.
const minHeaderSecret = 16

// headerSecretRule takes a secret that travels as a whole in what kind says.
func headerSecretRule(kind string) secretRule {
	return secretRule{most: 1, parse: func(s string) (secret.String, *wrong) {
		switch {
		case len(s) < minHeaderSecret:
			return secret.String{}, &wrong{
				fmt.Sprintf("is shorter than %d characters", minHeaderSecret),
				"write a long random value, such as `openssl rand -base64 32` prints",
			}
		case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
			return secret.String{}, &wrong{"holds characters that " + kind + " cannot", "write letters, digits and -._~+/= only"}
		}
		return secret.New(s), nil
	}}
}

func keyRule() secretRule {
	return secretRule{most: maxKeys, comments: true, parse: func(s string) (secret.String, *wrong) {
		raw, err := decodeKey(s)
		switch {
		case err != nil:
			return secret.String{}, &wrong{"is not base64", keyFix}
		case len(raw) != keyBytes:
			return secret.String{}, &wrong{fmt.Sprintf("is %d bytes long and not %d", len(raw), keyBytes), keyFix}
		case bytes.Count(raw, raw[:1]) == keyBytes:
			return secret.String{}, &wrong{"is the same byte 32 times", keyFix}
		}
		// One spelling, so that a key that is repeated in another one is seen.
		return secret.New(base64.StdEncoding.EncodeToString(raw)), nil
	}}
}

// decodeKey takes standard and URL-safe base64, padded or not.
func decodeKey(s string) ([]byte, error) {
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	raw, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("decoding base64") // the library's own error quotes the input
	}
	return raw, nil
}

// ParseKeys reads session keys from what session.keys_file holds: one base64
// key of 32 bytes a line; empty lines and lines that begin with # are skipped.
// The first seals, all open. The error is [Faults] and quotes no key.
func ParseKeys(content []byte) ([]secret.String, error) {
	var keys []secret.String
	var faults Faults
	fault := func(item *yaml.Node, sub, problem, fix string) {
		if sub != "" {
			problem = fmt.Sprintf("line %d %s", item.Column, problem)
		}
		faults = append(faults, Fault{Key: "session.keys_file", Problem: problem, Fix: fix})
	}
	list := lines(content, 0, true)
	secrets(&keys, "", keyRule()).read(list, fault)
	if len(faults) > 0 {
		return nil, faults
	}
	return keys, nil
}

// KeyBytes decodes keys that [Load] or [ParseKeys] has checked, in their order.
// Hand the result to the cipher at once: it prints like any other bytes.
func KeyBytes(keys []secret.String) [][]byte {
	raw := make([][]byte, 0, len(keys))
	for _, k := range keys {
		if b, err := decodeKey(k.Reveal()); err == nil {
			raw = append(raw, b)
		}
	}
	return raw
}

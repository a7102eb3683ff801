package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
)

const (
	maxSecrets    = 4
	maxSecretFile = 64 << 10
	keyFix        = "make one with `tokenhandler keygen`"
)

// secretRule says how many secrets an option takes and which are valid.
type secretRule struct {
	most     int
	comments bool // skip lines that start with #
	parse    parser[secret.String]
}

// check parses one secret, unless it is mistaken or has a name in front.
func (r secretRule) check(s string) (secret.String, *invalid) {
	if bad := mistaken(s); bad != nil {
		return secret.String{}, bad
	}
	if labelled.MatchString(s) {
		return secret.String{}, &invalid{"begins with a name, such as client_secret=, that would be part of the secret", "write the value only"}
	}
	return r.parse(s)
}

// manySecrets makes an option whose value is one secret or a list of secrets.
func manySecrets(dst *[]secret.String, kind string, rule secretRule) value {
	return value{kind: kind, form: formLines, read: func(n *yaml.Node, fault report) {
		if n.Kind != yaml.SequenceNode {
			s, ok := scalar(n, "", fault)
			if !ok {
				return
			}
			if bad := mistaken(s); bad != nil {
				fault(n, "", bad.problem, bad.fix)
				return
			}
			if rule.comments { // these are keys: base64 has no commas
				s = strings.ReplaceAll(s, ",", "\n")
			}
			n = lines([]byte(s), n.Line, rule.comments)
			if len(n.Content) == 1 { // the operator wrote no list: name no index
				indexed := fault
				fault = func(item *yaml.Node, _, problem, fix string) { indexed(item, "", problem, fix) }
			}
		}
		if len(n.Content) == 0 {
			fault(n, "", "is empty", "give it a value or remove it")
			return
		}
		if list, ok := items(n, rule.check, fault); ok && distinct(n, list, rule, fault) {
			*dst = list
		}
	}}
}

// distinct reports too many secrets, and secrets that are there twice.
func distinct(n *yaml.Node, list []secret.String, rule secretRule, fault report) bool {
	if len(list) > rule.most {
		fault(n, "", fmt.Sprintf("has %d values", len(list)), fmt.Sprintf("keep at most %d", rule.most))
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

// oneSecret makes an option whose value is exactly one secret.
func oneSecret(dst *secret.String, kind string, rule secretRule) value {
	rule.most = 1
	var list []secret.String
	v := manySecrets(&list, kind, rule)
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

// secretFile makes the …_file variant of the secret option of. The file has one
// secret per line, and the same rules apply to them.
func secretFile(path *string, of value, rule secretRule, readFile func(string) ([]byte, error)) value {
	return value{kind: "file", form: formScalar, read: func(n *yaml.Node, fault report) {
		name, ok := scalar(n, "", fault)
		if !ok {
			return
		}
		// Faults do not quote the path: an operator may have written the secret here
		// by mistake.
		if name == "" {
			fault(n, "", "is empty", "write the path of a file")
			return
		}
		if bad := mistaken(name); bad != nil {
			fault(n, "", bad.problem, bad.fix)
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
			inFile(n, "", fmt.Sprintf("has %d values", len(list.Content)), "keep one line")
			return
		}
		if rule.most == 1 {
			of.read(list.Content[0], inFile)
			return
		}
		of.read(list, inFile)
	}}
}

func readSecret(name string, readFile func(string) ([]byte, error)) ([]byte, *invalid) {
	content, err := readFile(name)
	switch {
	case err != nil:
		return nil, unreadable(err)
	case len(content) > maxSecretFile:
		return nil, &invalid{"names a file that is over 64KiB", "check the path"}
	case bytes.IndexByte(content, 0) >= 0:
		return nil, &invalid{"names a file that is no plain text, or is text in UTF-16", "save it as UTF-8"}
	}
	return content, nil
}

// lines returns the lines of text that are not empty as a YAML list. The Line of an
// item is at, its Column is the number of the line in text.
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
	return secretRule{most: maxSecrets, parse: func(s string) (secret.String, *invalid) {
		if s == "" {
			return secret.String{}, &invalid{"is empty", "give it a value or remove it"}
		}
		if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
			return secret.String{}, &invalid{"contains control characters", "copy the secret again"}
		}
		return secret.New(s), nil
	}}
}

// storeRule accepts the URL of the shared store. Faults do not quote it, because it
// may contain a password.
func storeRule() secretRule {
	return secretRule{most: 1, parse: func(s string) (secret.String, *invalid) {
		if err := valkey.CheckURL(s); err != nil {
			return secret.String{}, &invalid{err.Error(), "write valkey://host:6379/0, redis://…, or with TLS valkeys://… or rediss://…"}
		}
		return secret.New(s), nil
	}}
}

// minHeaderSecret is the shortest allowed length of a secret that is sent in a
// header: attackers can try to guess it over the network.
const minHeaderSecret = 16

// headerSecretRule accepts a secret that is sent in a header. kind names it in
// faults: "a header" or "a bearer token".
func headerSecretRule(kind string) secretRule {
	return secretRule{most: 1, parse: func(s string) (secret.String, *invalid) {
		switch {
		case len(s) < minHeaderSecret:
			return secret.String{}, &invalid{
				fmt.Sprintf("is shorter than %d characters", minHeaderSecret),
				"write a long random value, such as `openssl rand -base64 32` prints",
			}
		case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }):
			return secret.String{}, &invalid{"contains characters that " + kind + " must not have", "write letters, digits and -._~+/= only"}
		}
		return secret.New(s), nil
	}}
}

// keyRule accepts keys that [seal.ParseKey] accepts. It gives all of them the same
// spelling, so that a key that is there twice in two spellings is found.
func keyRule() secretRule {
	return secretRule{most: seal.MaxKeys, comments: true, parse: func(s string) (secret.String, *invalid) {
		raw, err := seal.ParseKey(s)
		if err != nil { // the error quotes nothing of the key
			return secret.String{}, &invalid{err.Error(), keyFix}
		}
		return secret.New(base64.StdEncoding.EncodeToString(raw)), nil
	}}
}

// ParseKeys parses the content of the file that session.keys_file names: one
// base64 key of [seal.KeySize] bytes per line. Empty lines and lines that start
// with # are skipped. The first key encrypts, all keys decrypt. The error is
// [Faults] and quotes no key.
func ParseKeys(content []byte) ([]secret.String, error) {
	return parseSecretFile("session.keys_file", content, keyRule())
}

// ParseClientSecrets parses the content of the file that provider.client_secret_file
// names: one secret per line. The error is [Faults] and quotes no secret.
func ParseClientSecrets(content []byte) ([]secret.String, error) {
	return parseSecretFile("provider.client_secret_file", content, clientSecretRule())
}

// ParseAdminToken parses the content of the file that admin.token_file names. The
// result has one item. The error is [Faults] and quotes nothing of it.
func ParseAdminToken(content []byte) ([]secret.String, error) {
	return parseSecretFile("admin.token_file", content, headerSecretRule("a bearer token"))
}

// ParseVerifySecret parses the content of the file that auth.verify_secret_file names.
// The result has one item. The error is [Faults] and quotes nothing of it.
func ParseVerifySecret(content []byte) ([]secret.String, error) {
	return parseSecretFile("auth.verify_secret_file", content, headerSecretRule("a header"))
}

// parseSecretFile parses the file that key names as [Load] does.
func parseSecretFile(key string, content []byte, rule secretRule) ([]secret.String, error) {
	var secrets []secret.String
	var faults Faults
	fault := func(item *yaml.Node, sub, problem, fix string) {
		if sub != "" {
			problem = fmt.Sprintf("line %d %s", item.Column, problem)
		}
		faults = append(faults, Fault{Key: key, Problem: problem, Fix: fix})
	}
	manySecrets(&secrets, "", rule).read(lines(content, 0, rule.comments), fault)
	if len(faults) > 0 {
		return nil, faults
	}
	return secrets, nil
}

// KeyBytes decodes keys that [Load] or [ParseKeys] returned, in their order. Pass
// the result to the cipher at once: unlike [secret.String] it is printed as it is.
func KeyBytes(keys []secret.String) [][]byte {
	raw := make([][]byte, 0, len(keys))
	for _, k := range keys {
		if b, err := seal.ParseKey(k.Reveal()); err == nil {
			raw = append(raw, b)
		}
	}
	return raw
}

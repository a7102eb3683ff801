package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"cognito-token-handler/tokenhandler/secret"
)

// AdminToken is a bearer token for /admin with the name of whoever has it.
type AdminToken struct {
	Name  string
	Token secret.String
	// TokenFile is the file of Token, for [ParseAdminToken], or empty.
	TokenFile string
}

const (
	// maxTokenName is the largest length of a token's name.
	maxTokenName = 64
	// UnnamedOperator is the name of whoever has admin.token.
	UnnamedOperator = "admin.token"
)

// adminTokens makes the option admin.tokens, each item of which has options of its own.
func adminTokens(dst *[]AdminToken, readFile func(string) ([]byte, error)) value {
	return value{kind: "list of tokens", form: formYAML, read: func(n *yaml.Node, fault report) {
		if n.Kind == yaml.AliasNode || isNull(n) {
			return
		}
		if n.Kind != yaml.SequenceNode {
			fault(n, "", "is not a list", "write each token as an item: - name: anna")
			return
		}
		for i, item := range n.Content {
			token := readAdminToken(item, fmt.Sprintf("[%d]", i), readFile, fault)
			if token.Name != "" && slices.ContainsFunc(*dst, func(other AdminToken) bool { return other.Name == token.Name }) {
				fault(item, fmt.Sprintf("[%d].name", i), quote(token.Name)+" is the name of another token", "choose another name")
			}
			*dst = append(*dst, token)
		}
	}}
}

// adminTokenOptions are the options of one item of admin.tokens.
func adminTokenOptions(a *AdminToken, readFile func(string) ([]byte, error)) []option {
	token := oneSecret(&a.Token, "secret", headerSecretRule("a bearer token"))
	return []option{
		{key: "name", value: one(&a.Name, "name", parseTokenName), doc: "Who has the token. Required.", refused: "other characters than letters, digits and `-_.@`; more than 64; `admin.token`, which is the name of that option's token"},
		{key: "token", value: token, doc: "The token.", refused: "fewer than 16 characters"},
		{
			key: "token_file", fileFor: "token", value: secretFile(&a.TokenFile, token, headerSecretRule("a bearer token"), readFile),
			doc: "A file that contains the token on one line. It is read again when it changes.", refused: "both this and `token`; neither",
		},
	}
}

// readAdminToken reads one item with a loader of its own.
func readAdminToken(item *yaml.Node, sub string, readFile func(string) ([]byte, error), fault report) (a AdminToken) {
	if item.Kind == yaml.AliasNode {
		return a
	}
	if item.Kind != yaml.MappingNode {
		fault(item, sub, "is not a token", "write name: and token_file: on lines of their own")
		return a
	}
	in := &loader{bad: map[string]bool{}, set: map[string]setting{}}
	table := adminTokenOptions(&a, readFile)
	in.merge(table, in.flatten(item, "", "", table), nil)
	in.read(table)
	if !in.isSet("name") {
		in.fault("name", "is missing", "write who has the token")
	}
	if !in.isSet("token") && !in.isSet("token_file") {
		in.fault("token_file", "is missing", "write the path of a file with the token")
	}
	for _, f := range in.faults {
		at := &yaml.Node{Line: f.line}
		if f.line == 0 {
			at.Line = item.Line
		}
		fault(at, sub+"."+f.Key, f.Problem, f.Fix)
	}
	return a
}

func parseTokenName(s string) (string, *invalid) {
	plain := s != "" && len(s) <= maxTokenName
	for _, c := range s {
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' || c == '@')
	}
	if !plain {
		return "", &invalid{quote(s) + " is no name", "write up to 64 letters, digits and -_.@"}
	}
	if s == UnnamedOperator {
		return "", &invalid{quote(s) + " is the name of whoever has the token of the option admin.token", "choose another name"}
	}
	return s, nil
}

package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// option is one key that an operator can set: the single source of loading,
// defaults, environment names and reference.md.
type option struct {
	value

	// key is the dotted path in the file; inside a route, the part below it.
	key string
	// def is the default as an operator would write it in the environment.
	def string
	// doc says what it means, refused what Load does not accept.
	doc     string
	refused string
	// fileFor names the secret key that this one reads from a file.
	fileFor string
	// later marks a key that the contract has and the program not yet.
	later bool
}

// value says how an option is written and where it goes.
type value struct {
	kind string // for the reference: "duration"
	form form
	read reader
}

// reader stores the value at the node, or reports why not.
type reader func(n *yaml.Node, fault report)

// report names something wrong at n. sub is the path below the option's key,
// such as "[1]" or "[0].path"; empty for the option itself.
type report func(n *yaml.Node, sub, problem, fix string)

// form is how a value is spelt in an environment variable.
type form int

const (
	formScalar form = iota // as it is
	formList               // items between commas or spaces, or a YAML flow list
	formLines              // one item a line
	formYAML               // a YAML flow value
)

// env is the environment variable of a key.
func (o option) env() string { return envName(o.key) }

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

const envPrefix = "TH_"

// section is what stands before the last dot of a key.
func section(key string) string {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return key[:i]
	}
	return ""
}

// sections are the mappings that the options live in.
func sections(opts []option) map[string]bool {
	found := map[string]bool{}
	for _, o := range opts {
		for s := section(o.key); s != ""; s = section(s) {
			found[s] = true
		}
	}
	return found
}

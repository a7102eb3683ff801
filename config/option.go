package config

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// option describes one key. Loading, defaults, the names of environment variables
// and reference.md all follow from it.
type option struct {
	value

	// key is the dotted path in the file, or in the route for the options of routes.
	key string
	// def is the default, written as in an environment variable.
	def string
	// doc explains the key. refused lists what Load refuses.
	doc     string
	refused string
	// means is what the service says at start if this key, which weakens a
	// protection, is true. It continues a sentence that begins with the key.
	means string
	// fileFor is the key of the secret that this key names a file for.
	fileFor string
}

// value says how an option is written and where its value is stored.
type value struct {
	kind string // for the reference: "duration"
	form form
	read reader
}

// reader stores the value of a node, or reports faults.
type reader func(n *yaml.Node, fault report)

// report reports a fault at the line of n. sub is the path below the option's key,
// such as "[1]" or "[0].path", or "" for the option itself.
type report func(n *yaml.Node, sub, problem, fix string)

// form is how a value is written in an environment variable.
type form int

const (
	formScalar form = iota // the value as it is
	formList               // items between commas or spaces, or a YAML flow list
	formLines              // one item per line
	formYAML               // a YAML flow value
)

// env returns the name of the key's environment variable.
func (o option) env() string { return envName(o.key) }

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

const envPrefix = "TH_"

// section returns the part of a key before its last dot.
func section(key string) string {
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		return key[:i]
	}
	return ""
}

// sections returns the keys of the mappings that contain the options.
func sections(opts []option) map[string]bool {
	found := map[string]bool{}
	for _, o := range opts {
		for s := section(o.key); s != ""; s = section(s) {
			found[s] = true
		}
	}
	return found
}

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// document parses the YAML document of a file. root is nil if the file is empty.
func (l *loader) document(file []byte) (root *yaml.Node, ok bool) {
	dec := yaml.NewDecoder(bytes.NewReader(file))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, true
	} else if err != nil {
		l.syntax(err, file)
		return nil, false
	}
	if err := dec.Decode(&more); err == nil {
		l.fileFault("contains more than one YAML document", "remove the --- and everything after it")
		return nil, false
	} else if !errors.Is(err, io.EOF) {
		l.syntax(err, file)
		return nil, false
	}
	root = doc.Content[0]
	if isNull(root) {
		return nil, true
	}
	if root.Kind != yaml.MappingNode {
		l.fileFault("is not a YAML mapping", "write key: value lines, such as public_url: https://app.example.com")
		return nil, false
	}
	return root, true
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

var (
	yamlLine   = regexp.MustCompile(`^yaml: line ([0-9]+): `)
	yamlAnchor = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced`)
	yamlPrefix = regexp.MustCompile(`^yaml: (line [0-9]+: )?`)
	yamlQuoted = regexp.MustCompile(`['"\x60].*`)
)

// syntax reports the parser's error and its line, without what the error quotes: the
// parser calls an unquoted secret that starts with * an "unknown anchor".
func (l *loader) syntax(err error, file []byte) {
	const fix = "check the indentation (spaces, no tabs), and quote values that contain any of : # * & ! % @"
	text := err.Error()
	f := Fault{Where: l.fileName, Fix: fix}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		f.line, _ = strconv.Atoi(m[1]) // the pattern only takes digits
	} else if m := yamlAnchor.FindStringSubmatch(text); m != nil {
		before, _, _ := bytes.Cut(file, []byte("*"+m[1]))
		f.line = 1 + bytes.Count(before, []byte("\n"))
	}
	if f.line > 0 {
		f.Where = fmt.Sprintf("%s:%d", l.fileName, f.line)
	}
	f.Problem = "is not YAML: " + yamlQuoted.ReplaceAllString(yamlPrefix.ReplaceAllString(text, ""), "…")
	l.faults = append(l.faults, f)
	l.bad[""] = true
}

// scan reports features of YAML that are refused here: repeated keys, of which all
// but one would be ignored, and anchors, aliases, tags and merges, with which a
// value differs from what the operator reads after its key.
func (l *loader) scan(n *yaml.Node, path string) {
	fault := l.reporter(path, setting{})
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		fault(n, "", "uses a YAML anchor or alias", "write the value itself; quote a value that starts with & or *")
	case n.Style&yaml.TaggedStyle != 0:
		fault(n, "", "uses a YAML tag", "remove it; quote a value that starts with !")
	}
	if n.Kind == yaml.MappingNode {
		l.scanMapping(n, path)
		return
	}
	for i, item := range n.Content {
		l.scan(item, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (l *loader) scanMapping(n *yaml.Node, path string) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			l.reporter(path, setting{})(key, "", "has a key that is not a name", "write name: value")
			continue
		}
		full := join(path, key.Value)
		if line, again := first[key.Value]; again {
			l.reporter(showKey(full), setting{})(key, "", fmt.Sprintf("is repeated (first on line %d)", line), "keep one of them")
			continue
		}
		first[key.Value] = key.Line
		l.scan(n.Content[i+1], full)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// flatten returns the settings of a mapping by their dotted keys. prefix is the
// dotted key of the mapping. In faults, label precedes the keys.
func (l *loader) flatten(n *yaml.Node, prefix, label string, table []option) map[string]setting {
	known, inner := map[string]bool{}, sections(table)
	for _, o := range table {
		known[o.key] = true
	}
	found := map[string]setting{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		full := join(prefix, key.Value)
		_, again := found[full]
		switch {
		case key.Kind != yaml.ScalarNode || again: // reported by scan
		case known[full]:
			found[full] = setting{node: val}
		case !inner[full]:
			fix := seeReference
			if len(l.faults) < maxFaults { // for a megabyte of unknown keys the search would take seconds
				fix = suggest(label, full, table)
			}
			l.reporter(label+showKey(full), setting{})(key, "", "is not a known key", fix)
		case val.Kind == yaml.MappingNode:
			maps.Copy(found, l.flatten(val, full, label, table))
		case !isNull(val) && val.Kind != yaml.AliasNode:
			l.reporter(label+full, setting{})(val, "", "is not a section", "write its keys on the lines below it, indented")
		}
	}
	return found
}

package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// environment returns the settings of the TH_ variables by their keys. If a variable
// is there twice, the first one counts, as with os.Getenv.
func (l *loader) environment(environ []string, table []option) map[string]setting {
	byName := map[string]option{}
	for _, o := range table {
		byName[o.env()] = o
	}
	found := map[string]setting{}
	var links []string
	for _, entry := range environ {
		name, val, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		o, ok := byName[name]
		if !ok && isServiceLink(name, val) {
			links = append(links, name)
			continue
		}
		if !ok {
			l.faults = append(l.faults, Fault{Where: showKey(name), Problem: "is not a known variable", Fix: suggestVariable(name, table)})
			continue
		}
		if _, again := found[o.key]; again {
			continue
		}
		s := setting{env: name}
		node, bad := o.form.node(val)
		if bad != nil {
			l.reporter(o.key, s)(nil, "", bad.problem, bad.fix)
			continue
		}
		s.node = node
		if o.form == formYAML {
			l.scanEnv(node, s, o.key)
		}
		found[o.key] = s
	}
	l.warnOfLinks(links)
	return found
}

var (
	linkAddress = regexp.MustCompile(`^TH(_[A-Z0-9_]+)?_PORT(_[0-9]+_(TCP|UDP|SCTP))?$`)
	linkPart    = regexp.MustCompile(`^TH(_[A-Z0-9_]+)?_PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR)$`)
	linkHost    = regexp.MustCompile(`^TH(_[A-Z0-9_]+)?_SERVICE_HOST$`)
	linkPort    = regexp.MustCompile(`^TH(_[A-Z0-9_]+)?_SERVICE_PORT(_[A-Z0-9_]+)?$`)
	addressText = regexp.MustCompile(`^(tcp|udp|sctp)://`)
)

// isServiceLink reports whether Kubernetes sets a variable for a Service named th, or
// th-something (Kubernetes documentation, "Service: Discovering services"). The value
// is looked at, too, so that a misspelt variable of the configuration is still found.
func isServiceLink(name, val string) bool {
	_, notIP := netip.ParseAddr(val)
	return linkPart.MatchString(name) ||
		linkAddress.MatchString(name) && addressText.MatchString(val) ||
		linkHost.MatchString(name) && notIP == nil ||
		linkPort.MatchString(name) && isPort(val, 1)
}

// warnOfLinks reports one warning for all variables of Kubernetes' services.
func (l *loader) warnOfLinks(names []string) {
	if len(names) == 0 {
		return
	}
	l.warnings = append(l.warnings, Warning{Fault: Fault{
		Where: showKey(names[0]), Problem: fmt.Sprintf("and %d more like it are ignored: Kubernetes sets them for a Service whose name begins with th", len(names)-1),
		Fix: "set enableServiceLinks: false in the pod",
	}})
}

// IsSetBy reports whether the environment has a variable of the configuration, so that
// there may be no file. Those that Kubernetes sets for a Service named th are none.
func IsSetBy(environ []string) bool {
	return slices.ContainsFunc(environ, func(entry string) bool {
		name, val, _ := strings.Cut(entry, "=")
		return strings.HasPrefix(name, envPrefix) && !isServiceLink(name, val)
	})
}

// scanEnv does for a YAML value of the environment what [loader.scan] does for the
// file.
func (l *loader) scanEnv(node *yaml.Node, s setting, key string) {
	inner := &loader{fileName: l.fileName, bad: l.bad}
	inner.scan(node, key)
	for _, f := range inner.faults {
		f.Where, f.line = s.env, 0
		l.faults = append(l.faults, f)
	}
}

func suggestVariable(name string, table []option) string {
	if strings.HasPrefix(name, envName("api.routes")+"__") {
		return "set all routes in " + envName("api.routes") + ", as one YAML list"
	}
	names := make([]string, len(table))
	for i, o := range table {
		names[i] = o.env()
	}
	if best := nearest(name, names); best != "" {
		return "did you mean " + best + "?"
	}
	return "unset it; config/reference.md lists every variable"
}

// node parses the value of an environment variable into the node that the same
// setting has in a file.
func (f form) node(val string) (*yaml.Node, *invalid) {
	if f == formList && !strings.HasPrefix(strings.TrimSpace(val), "[") {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range strings.FieldsFunc(val, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			list.Content = append(list.Content, textNode(item))
		}
		return list, nil
	}
	if f == formScalar || f == formLines {
		return textNode(val), nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(val), &doc); err != nil || len(doc.Content) != 1 {
		return nil, &invalid{"is not a YAML list", "write it on one line as [first, second], routes as [{path: /api/, upstream: \"https://…\"}]"}
	}
	return doc.Content[0], nil
}

func textNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

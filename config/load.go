package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the file before it is parsed.
const maxFile = 1 << 20

// loader collects the settings and their faults.
type loader struct {
	fileName string
	readFile func(string) ([]byte, error)
	faults   Faults
	warnings []Warning
	bad      map[string]bool    // keys with a fault; "" if the file cannot be read
	set      map[string]setting // key → setting; the environment wins over the file
}

// setting is the value of one key. env is the variable that it comes from, or "" if
// it comes from the file.
type setting struct {
	node *yaml.Node
	env  string
}

// Load returns the configuration of a YAML file, which may be empty, and the
// environment. TH_ variables win over the file; OTEL_ variables set up tracing.
// fileName is the name of the file in faults.
//
// Load parses the file, matches the keys of the file and of the environment with
// the table of options, parses defaults and values, and checks combinations of
// keys, and what they say about the machine. It uses no network. If anything is wrong,
// the error is [Faults] with all faults, and the Config is empty. The service starts
// with every configuration that Load accepts, unless it cannot listen.
//
// Load reads yaml.Node itself. Libraries such as koanf read maps, in which line
// numbers, repeated keys and the spelling of values are lost: a client_id of 0123
// would become 83.
func Load(file []byte, fileName string, environ []string, m Machine) (Config, error) {
	readFile := m.ReadFile
	if readFile == nil {
		readFile = func(string) ([]byte, error) { return nil, errors.New("reading files is not possible here") }
	}
	l := &loader{fileName: fileName, readFile: readFile, bad: map[string]bool{}, set: map[string]setting{}}
	var c Config
	table := options(&c, readFile)
	fromFile := l.parse(file, table)
	fromEnv := l.environment(environ, table)
	l.merge(table, fromFile, fromEnv)
	l.read(table)
	l.check(&c)
	if m.Now != nil {
		l.checkMachine(&c, table, m)
	}
	l.warnOfInsecure(table)
	c.Tracing = l.tracing(environ)
	if len(l.faults) > 0 {
		return Config{}, l.faults.sorted()
	}
	c.Warnings = slices.SortedStableFunc(slices.Values(l.warnings), func(a, b Warning) int { return compareLines(a.Fault, b.Fault) })
	return c, nil
}

// parse returns the settings of the file by their keys.
func (l *loader) parse(file []byte, table []option) map[string]setting {
	if len(file) > maxFile {
		l.fileFault("is larger than 1MiB", "check that this is the right file")
		return nil
	}
	root, ok := l.document(file)
	if !ok || root == nil {
		return nil
	}
	l.scan(root, "")
	return l.flatten(root, "", "", table)
}

// fileFault reports a fault of the whole file.
func (l *loader) fileFault(problem, fix string) {
	l.faults = append(l.faults, Fault{Where: l.fileName, Problem: problem, Fix: fix})
	l.bad[""] = true
}

// merge combines the settings of the file and of the environment, which wins. A
// secret and its …_file variant count as one setting: if the environment has one of
// them, the file's are ignored. Both in one place are a fault.
func (l *loader) merge(table []option, fromFile, fromEnv map[string]setting) {
	for _, layer := range []map[string]setting{fromFile, fromEnv} {
		for _, o := range table {
			other, both := layer[o.fileFor]
			if here, ok := layer[o.key]; ok && both {
				l.reporter(o.key, here)(here.node, "", "is set as well as "+o.fileFor+other.place(), "keep one of the two")
			}
		}
	}
	maps.Copy(l.set, fromFile)
	for _, o := range table {
		if o.fileFor == "" {
			continue
		}
		_, plain := fromEnv[o.fileFor]
		_, file := fromEnv[o.key]
		if plain || file {
			delete(l.set, o.key)
			delete(l.set, o.fileFor)
		}
	}
	maps.Copy(l.set, fromEnv)
}

// place returns where a setting was made, for the fault of another setting.
func (s setting) place() string {
	if s.env != "" {
		return " (" + s.env + ")"
	}
	return fmt.Sprintf(" (line %d)", s.node.Line)
}

// read stores the defaults, then the settings.
func (l *loader) read(table []option) {
	for _, o := range table {
		if o.def != "" {
			def := setting{env: "default"}
			node, bad := o.form.node(o.def)
			if bad != nil {
				l.reporter(o.key, def)(nil, "", bad.problem, bad.fix)
				continue
			}
			o.read(node, l.reporter(o.key, def))
		}
	}
	for _, o := range table {
		s, ok := l.set[o.key]
		if !ok || l.bad[o.key] {
			continue
		}
		fault := l.reporter(o.key, s)
		o.read(s.node, fault)
	}
}

// reporter returns the function that reports faults of a setting.
func (l *loader) reporter(key string, s setting) report {
	return func(n *yaml.Node, sub, problem, fix string) {
		f := Fault{Where: s.env, Key: key + sub, Problem: problem, Fix: fix}
		if s.env == "" && n != nil && n.Line > 0 {
			f.Where, f.line = fmt.Sprintf("%s:%d", l.fileName, n.Line), n.Line
		}
		l.faults = append(l.faults, f)
		l.bad[key], l.bad[f.Key] = true, true
	}
}

// fault reports a fault that was found after everything was read. It does nothing if
// the key or the file has a fault already, of which this one may be a consequence.
func (l *loader) fault(key, problem, fix string) {
	if !l.bad[key] && !l.bad[""] {
		l.faults = append(l.faults, l.at(key, problem, fix))
	}
}

// warn reports a warning that was found after everything was read. It does nothing
// if the key or the file has a fault.
func (l *loader) warn(key, problem, fix string) {
	if !l.bad[key] && !l.bad[""] {
		l.warnings = append(l.warnings, Warning{Fault: l.at(key, problem, fix)})
	}
}

// warnOfInsecure reports a warning for each key that weakens a protection and is
// true.
func (l *loader) warnOfInsecure(table []option) {
	for _, o := range table {
		if s, ok := l.set[o.key]; o.means != "" && ok && l.valid(o.key) && s.node.Value == "true" {
			l.warnings = append(l.warnings, Warning{Fault: l.at(o.key, o.means, insecureFix), Insecure: true})
		}
	}
}

const insecureFix = "remove it if you can"

// at returns a fault at the place where the key is set.
func (l *loader) at(key, problem, fix string) Fault {
	f := Fault{Where: l.fileName, Key: key, Problem: problem, Fix: fix}
	switch s, ok := l.set[key]; {
	case ok && s.env != "":
		f.Where = s.env
	case ok:
		f.Where, f.line = fmt.Sprintf("%s:%d", l.fileName, s.node.Line), s.node.Line
	}
	return f
}

// isSet reports whether the key is in the file or the environment.
func (l *loader) isSet(key string) bool {
	_, ok := l.set[key]
	return ok
}

// valid reports whether none of the keys has a fault.
func (l *loader) valid(keys ...string) bool {
	for _, key := range keys {
		if l.bad[key] {
			return false
		}
	}
	return true
}

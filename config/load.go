package config

import (
	"errors"
	"fmt"
	"maps"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds the file before it is parsed.
const maxFile = 1 << 20

// loader collects what the operator wrote and what is wrong with it.
type loader struct {
	fileName string
	readFile func(string) ([]byte, error)
	faults   Faults
	bad      map[string]bool    // keys that have a fault
	set      map[string]setting // key → what the operator wrote, environment over file
}

// setting is one written value. env is the variable that it comes from; empty
// for the file.
type setting struct {
	node *yaml.Node
	env  string
}

// Load makes a Config of a YAML file (which may be empty) and the environment,
// whose TH_ variables win, and whose OTEL_ variables ask for traces. fileName only
// stands in faults. readFile reads what the …_file keys name; pass os.ReadFile.
//
// The steps: parse the file; match the file's keys, then the environment's,
// with the table of options; read defaults, then values; check what several
// keys say together. The error is [Faults], everything wrong at once, and then
// the Config is empty.
//
// We read yaml.Node ourselves and not through koanf: its maps have lost the
// line numbers, the repeated keys and the spelling (a client_id of 0123 would
// become 83) that faults and values need.
func Load(file []byte, fileName string, environ []string, readFile func(string) ([]byte, error)) (Config, error) {
	if readFile == nil {
		readFile = func(string) ([]byte, error) { return nil, errors.New("no files here") }
	}
	l := &loader{fileName: fileName, readFile: readFile, bad: map[string]bool{}, set: map[string]setting{}}
	var c Config
	table := options(&c, readFile)
	fromFile := l.parse(file, table)
	fromEnv := l.environment(environ, table)
	l.merge(table, fromFile, fromEnv)
	l.read(table)
	l.check(&c)
	c.Tracing = l.tracing(environ)
	if len(l.faults) > 0 {
		return Config{}, l.faults.sorted()
	}
	return c, nil
}

// parse finds the settings of the file.
func (l *loader) parse(file []byte, table []option) map[string]setting {
	if len(file) > maxFile {
		l.whole("is over 1MiB", "check that this is the right file")
		return nil
	}
	root, ok := l.document(file)
	if !ok || root == nil {
		return nil
	}
	l.scan(root, "")
	return l.flatten(root, "", "", table)
}

// whole is a fault of the file as such.
func (l *loader) whole(problem, fix string) {
	l.faults = append(l.faults, Fault{Where: l.fileName, Problem: problem, Fix: fix})
	l.bad[""] = true
}

// merge puts the environment over the file. A secret and its …_file variant
// are one thing: whichever the environment gives wins over both in the file.
func (l *loader) merge(table []option, fromFile, fromEnv map[string]setting) {
	for _, layer := range []map[string]setting{fromFile, fromEnv} {
		for _, o := range table {
			other, both := layer[o.fileFor]
			if here, ok := layer[o.key]; ok && both {
				l.reporter(o.key, here)(here.node, "", "stands beside "+o.fileFor+other.place(), "keep one of the two")
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

// place says where a setting stands, for a fault of another one.
func (s setting) place() string {
	if s.env != "" {
		return " (" + s.env + ")"
	}
	return fmt.Sprintf(" (line %d)", s.node.Line)
}

// read stores the defaults, then what was written.
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
		if o.later {
			fault(s.node, "", "is not yet available", "remove it")
			continue
		}
		o.read(s.node, fault)
	}
}

// reporter makes the report of a setting.
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

// fault is something wrong with a key once everything is read. It is left out
// if the key (or the file) could not be read: then it would only be confusing.
func (l *loader) fault(key, problem, fix string) {
	if l.bad[key] || l.bad[""] {
		return
	}
	s, ok := l.set[key]
	switch {
	case ok && s.env != "":
		l.faults = append(l.faults, Fault{Where: s.env, Key: key, Problem: problem, Fix: fix})
	case ok:
		where := fmt.Sprintf("%s:%d", l.fileName, s.node.Line)
		l.faults = append(l.faults, Fault{Where: where, Key: key, Problem: problem, Fix: fix, line: s.node.Line})
	default:
		l.faults = append(l.faults, Fault{Where: l.fileName, Key: key, Problem: problem, Fix: fix})
	}
}

// has reports whether the operator wrote the key.
func (l *loader) has(key string) bool {
	_, ok := l.set[key]
	return ok
}

// fine reports whether all these keys can be compared with each other.
func (l *loader) fine(keys ...string) bool {
	for _, key := range keys {
		if l.bad[key] {
			return false
		}
	}
	return true
}

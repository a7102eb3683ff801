package config

import (
	"fmt"
	"strings"
)

// Explain returns what reference.md says about a key, as text for a terminal. The key may
// also be the name of its environment variable. For a section, such as "session", or ""
// it lists the keys. The error of an unknown key names the one that was probably meant.
func Explain(key string) (string, error) {
	table := allOptions()
	key = strings.ReplaceAll(key, "[]", "")
	var listed strings.Builder
	for _, o := range table {
		switch {
		case o.key == key, o.env() == key:
			return o.explanation(), nil
		case key == "", strings.HasPrefix(o.key, key+"."):
			fmt.Fprintf(&listed, "%s\n", o.key)
		}
	}
	if listed.Len() > 0 {
		return listed.String(), nil
	}
	return "", fmt.Errorf("there is no key %s: %s", showKey(key), suggest("", key, table))
}

// allOptions returns the table of all keys, with those of a route behind api.routes.
func allOptions() []option {
	var c Config
	var r Route
	var table []option
	for _, o := range options(&c, nil) {
		table = append(table, o)
		if o.key != routesKey {
			continue
		}
		for _, inner := range routeOptions(&r) {
			inner.key = routesKey + "." + inner.key
			table = append(table, inner)
		}
	}
	return table
}

const routesKey = "api.routes"

// explanation is the row of reference.md as lines.
func (o option) explanation() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", o.key, o.doc)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s%s\n", name, value)
		}
	}
	row("value", o.kind)
	row("default", o.def)
	row("refused", o.refused)
	if !strings.HasPrefix(o.key, routesKey+".") {
		row("variable", o.env())
	}
	return b.String()
}

package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// schema is a JSON Schema (draft 7) of a value.
type schema map[string]any

// maxPlainNumber is the largest number that Helm writes as it is. It writes a million
// as 1e+06, which is not a number here.
const maxPlainNumber = 999_999

// UpdateValuesSchema returns the schema of the Helm chart's values with the part for the
// configuration made anew, from the table that [Load] uses. The keys of secrets are left
// out, because the chart writes the configuration into a ConfigMap: only the keys that
// name their files are allowed.
func UpdateValuesSchema(current []byte) ([]byte, error) {
	var values struct {
		Schema     string         `json:"$schema"`
		Type       string         `json:"type"`
		Additional bool           `json:"additionalProperties"`
		Required   []string       `json:"required"`
		Properties map[string]any `json:"properties"`
	}
	decoder := json.NewDecoder(bytes.NewReader(current))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&values); err != nil {
		return nil, fmt.Errorf("reading the schema of the values: %w", err)
	}
	var c Config
	var r Route
	configuration := objectSchema(options(&c, nil), "")
	configuration["description"] = "tokenhandler.yaml. Generated from the table of options."
	at(configuration, "api")["routes"] = schema{
		"type": "array", "description": plain("api.routes", options(&c, nil)), "items": withRequired(objectSchema(routeOptions(&r), ""), "path", "upstream"),
	}
	values.Properties["config"] = configuration
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(values); err != nil {
		return nil, fmt.Errorf("writing the schema of the values: %w", err)
	}
	return out.Bytes(), nil
}

// objectSchema returns the schema of the mapping with the options whose keys begin with
// prefix.
func objectSchema(table []option, prefix string) schema {
	properties := schema{}
	for _, o := range table {
		name, ok := strings.CutPrefix(o.key, prefix)
		if !ok || isSecret(o, table) {
			continue
		}
		if top, _, nested := strings.Cut(name, "."); nested {
			properties[top] = objectSchema(table, prefix+top+".")
			continue
		}
		properties[name] = o.schema()
	}
	return schema{"type": "object", "additionalProperties": false, "properties": properties}
}

// isSecret reports whether another key names a file for the value of o.
func isSecret(o option, table []option) bool {
	return slices.ContainsFunc(table, func(file option) bool { return file.fileFor == o.key })
}

func withRequired(s schema, names ...string) schema {
	s["required"] = names
	return s
}

// at returns the properties of a section.
func at(s schema, section string) schema {
	properties, _ := s["properties"].(schema)
	inner, _ := properties[section].(schema)
	result, _ := inner["properties"].(schema)
	return result
}

// plain returns the documentation of a key.
func plain(key string, table []option) string {
	i := slices.IndexFunc(table, func(o option) bool { return o.key == key })
	return table[i].doc
}

// schema returns the schema of an option's value. It says how a value is written, and
// Load says which values are allowed.
func (o option) schema() schema {
	s := schema{"description": o.doc}
	switch {
	case o.kind == "true or false":
		s["type"] = "boolean"
	case o.kind == "number":
		s["type"], s["pattern"], s["maximum"] = []string{"integer", "string"}, "^[0-9]+$", maxPlainNumber
	case o.kind == "size":
		s["type"], s["pattern"], s["maximum"] = []string{"integer", "string"}, sizePattern.String(), maxPlainNumber
	case o.kind == "duration":
		s["type"], s["pattern"] = "string", `^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`
	case o.kind == "rate":
		s["type"], s["pattern"] = "string", `^[0-9]+/([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	case o.form == formList:
		s["type"], s["items"] = "array", schema{"type": "string"}
	default:
		s["type"] = "string"
	}
	if o.def != "" {
		s["default"] = o.defaultValue()
	}
	return s
}

// defaultValue returns the default with the type of the schema.
func (o option) defaultValue() any {
	switch {
	case o.kind == "true or false":
		return o.def == "true"
	case o.form == formList:
		return strings.Split(o.def, ", ")
	}
	if n, err := strconv.Atoi(o.def); err == nil {
		return n
	}
	return o.def
}

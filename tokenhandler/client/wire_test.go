package client_test

import (
	"encoding"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cognito-token-handler/tokenhandler/wire"
)

// field is a member of a JSON object as TypeScript declares it.
type field struct {
	Optional bool
	Type     string
}

// answers has the interfaces of each source file, with the types that the service's handlers encode.
var answers = map[string]map[string]any{
	"src/wire.ts": {"SessionAnswer": wire.Session{}, "LogoutAnswer": wire.Logout{}, "Problem": wire.Problem{}},
	"src/storage/wire.ts": {
		"UploadAnswer": wire.Upload{}, "DownloadAnswer": wire.Download{}, "ObjectAnswer": wire.Object{}, "ObjectsAnswer": wire.Objects{},
		"DeletedAnswer": wire.Deleted{}, "PartsUploadAnswer": wire.PartsUpload{}, "SignedPart": wire.SignedPart{},
		"SignedPartsAnswer": wire.SignedParts{}, "StoredPart": wire.StoredPart{}, "StoredPartsAnswer": wire.StoredParts{},
		"UsageAnswer": wire.Usage{},
	},
}

func TestTypesFitTheJSON(t *testing.T) {
	for file, interfaces := range answers {
		source := readSource(t, file)
		if declared := strings.Count(source, "export interface "); declared != len(interfaces) {
			t.Errorf("%s declares %d interfaces, and %d are compared", file, declared, len(interfaces))
		}
		for name, body := range interfaces {
			declared, sent := declaredFields(t, source, name), sentFields(reflect.TypeOf(body))
			if name == "Problem" { // the client reads those of APIs and of proxies in front, too, which need no member
				for member, f := range sent {
					f.Optional = true
					sent[member] = f
				}
			}
			if !maps.Equal(declared, sent) {
				t.Errorf("%s is declared as\n%v\nbut is sent as\n%v", name, declared, sent)
			}
		}
	}
}

func TestReasonsFitTheJSON(t *testing.T) {
	_, union, _ := strings.Cut(readSource(t, "src/types.ts"), "export type Ended = ")
	union, _, _ = strings.Cut(union, "\n")
	declared := strings.Split(strings.ReplaceAll(union, "'", ""), " | ")
	sent := []string{
		string(wire.EndedIdle), string(wire.EndedExpired), string(wire.EndedLogout), string(wire.EndedRevoked), string(wire.EndedRefused),
	}
	slices.Sort(declared)
	slices.Sort(sent)
	if !slices.Equal(declared, sent) {
		t.Errorf("declared are %q, sent are %q", declared, sent)
	}
}

func readSource(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

var member = regexp.MustCompile(`(?m)^  (\w+)(\??): (.+)$`)

// declaredFields returns the members of an interface. Those that an object of another type has are "object".
func declaredFields(t *testing.T, source, name string) map[string]field {
	t.Helper()
	_, body, found := strings.Cut(source, "export interface "+name+" {\n")
	if !found {
		t.Fatalf("there is no interface %s", name)
	}
	body, _, _ = strings.Cut(body, "\n}")
	fields := map[string]field{}
	for _, m := range member.FindAllStringSubmatch(body, -1) {
		kind := m[3]
		switch kind {
		case "Ended":
			kind = "string"
		case "User":
			kind = "object"
		}
		fields[m[1]] = field{Optional: m[2] == "?", Type: kind}
	}
	return fields
}

// sentFields returns the members that encoding/json writes for a struct.
func sentFields(body reflect.Type) map[string]field {
	fields := map[string]field{}
	for member := range body.Fields() {
		name, option, _ := strings.Cut(member.Tag.Get("json"), ",")
		f := field{Optional: option == "omitempty", Type: sentType(member.Type)}
		if member.Type.Kind() == reflect.Pointer && !f.Optional {
			f.Type += " | null"
		}
		fields[name] = f
	}
	return fields
}

// sentType returns the TypeScript type of a value. What encodes itself, and has no interface above, is "object".
func sentType(sent reflect.Type) string {
	if sent.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return "string"
	}
	if sent.Implements(reflect.TypeFor[json.Marshaler]()) {
		return "object"
	}
	switch sent.Kind() { //nolint:exhaustive // no answer has other kinds
	case reflect.Pointer:
		return sentType(sent.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "number"
	case reflect.Slice:
		return sentType(sent.Elem()) + "[]"
	case reflect.Map:
		if sent == reflect.TypeFor[map[string]string]() {
			return "Record<string, string>"
		}
	}
	for _, interfaces := range answers {
		for name, body := range interfaces {
			if reflect.TypeOf(body) == sent {
				return name
			}
		}
	}
	return "object"
}

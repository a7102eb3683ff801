package client_test

import (
	"encoding"
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

// TestTypesFitTheJSON compares the interfaces in src/wire.ts with the types that the service's handlers encode.
func TestTypesFitTheJSON(t *testing.T) {
	source := readSource(t, "src/wire.ts")
	for name, body := range map[string]any{"SessionAnswer": wire.Session{}, "LogoutAnswer": wire.Logout{}, "Problem": wire.Problem{}} {
		declared := declaredFields(t, source, name)
		sent := sentFields(reflect.TypeOf(body))
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
		fields[name] = field{Optional: option == "omitempty", Type: sentType(member.Type)}
	}
	return fields
}

func sentType(sent reflect.Type) string {
	if sent.Kind() == reflect.Pointer {
		sent = sent.Elem()
	}
	switch {
	case sent.Implements(reflect.TypeFor[encoding.TextMarshaler]()), sent.Kind() == reflect.String:
		return "string"
	case sent.Kind() == reflect.Bool:
		return "boolean"
	case sent.Kind() == reflect.Int:
		return "number"
	}
	return "object"
}

package audit_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/tokenhandler/audit"
)

// ocsfObject is what OCSF 1.3.0 says of a class or object, as far as the records use it.
type ocsfObject struct {
	required, oneOf []string
	// attributes are all that the records may have, with their JSON types.
	attributes map[string]string
	enums      map[string][]float64
}

// ocsfSchema is that part of https://schema.ocsf.io/1.3.0/classes/authentication and of the
// objects that it refers to (the Open Cybersecurity Schema Framework, Apache License 2.0).
func ocsfSchema() map[string]ocsfObject {
	return map[string]ocsfObject{
		"": {
			required: []string{"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid", "user"},
			oneOf:    []string{"service", "dst_endpoint"},
			attributes: map[string]string{
				"activity_id": "integer", "activity_name": "string", "auth_protocol_id": "integer", "category_uid": "integer", "class_uid": "integer", "count": "integer", "dst_endpoint": "object", "end_time": "integer",
				"http_request": "object", "is_remote": "boolean", "message": "string", "metadata": "object", "service": "object", "session": "object", "severity_id": "integer",
				"src_endpoint": "object", "start_time": "integer", "status_detail": "string", "status_id": "integer", "time": "integer", "type_uid": "integer", "unmapped": "object", "user": "object",
			},
			enums: map[string][]float64{
				"activity_id": {0, 1, 2, 3, 4, 5, 6, 99}, "auth_protocol_id": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99}, "category_uid": {3}, "class_uid": {3002},
				"severity_id": {0, 1, 2, 3, 4, 5, 6, 99}, "status_id": {0, 1, 2, 99}, "type_uid": {300200, 300201, 300202, 300203, 300204, 300205, 300206, 300299},
			},
		},
		"metadata": {
			required:   []string{"product", "version"},
			attributes: map[string]string{"correlation_uid": "string", "event_code": "string", "product": "object", "version": "string"},
		},
		"metadata.product": {
			required: []string{"vendor_name"}, oneOf: []string{"name", "uid"},
			attributes: map[string]string{"name": "string", "vendor_name": "string", "version": "string"},
		},
		"user":         {oneOf: []string{"account", "name", "uid"}, attributes: map[string]string{"uid": "string"}},
		"session":      {attributes: map[string]string{"uid": "string"}},
		"src_endpoint": {oneOf: []string{"ip", "hostname"}, attributes: map[string]string{"ip": "string", "hostname": "string"}},
		"dst_endpoint": {oneOf: []string{"ip", "hostname"}, attributes: map[string]string{"ip": "string", "hostname": "string"}},
		"http_request": {attributes: map[string]string{"uid": "string", "user_agent": "string"}},
		"service":      {oneOf: []string{"name", "uid"}, attributes: map[string]string{"name": "string"}},
		"unmapped":     {attributes: nil}, // anything
	}
}

// TestRecordsFitOCSF: the records of all events, with all fields, with none, and of several events, fit the schema.
func TestRecordsFitOCSF(t *testing.T) {
	for _, replica := range []string{"host-1", ""} {
		synctest.Test(t, func(t *testing.T) {
			output := &disk{free: 1 << 20}
			trail, _ := newTrail(output, func(c *audit.Config) { c.OCSF, c.Replica = true, replica })
			trail.NoteVersion("v1.2.3")
			for _, name := range audit.Names() {
				event := full()
				event.Name = name
				trail.Note(t.Context(), event)
				trail.Note(t.Context(), audit.Event{Name: name})
				event.Anonymous = true // the second and third are summed up
				for range 3 {
					trail.Note(t.Context(), event)
					time.Sleep(time.Millisecond)
				}
			}
			trail.Close(t.Context())
			lines := strings.Split(strings.TrimSpace(output.text.String()), "\n")
			if len(lines) != 4*len(audit.Names()) || strings.Count(output.text.String(), `"count":2,"start_time":`) != len(audit.Names()) || strings.Count(output.text.String(), `"end_time":`) != len(audit.Names()) {
				t.Fatalf("%d records: %s", len(lines), output.text.String())
			}
			for _, line := range lines {
				var record map[string]any
				if err := json.Unmarshal([]byte(line), &record); err != nil {
					t.Fatal(err)
				}
				fitsOCSF(t, "", record)
				if activity, ok := record["activity_id"].(float64); !ok || record["type_uid"] != 300200+activity || !strings.Contains(line, `"version":"v1.2.3"`) {
					t.Errorf("the type, or the product's version: %s", line)
				}
			}
		})
	}
}

// fitsOCSF checks an object of a record, and those in it.
func fitsOCSF(t *testing.T, path string, object map[string]any) {
	t.Helper()
	schema, known := ocsfSchema()[path]
	if !known {
		t.Errorf("%q is no object of the schema", path)
	}
	has := func(name string) bool { _, ok := object[name]; return ok }
	for _, name := range schema.required {
		if !has(name) {
			t.Errorf("%q lacks %s, in %v", path, name, object)
		}
	}
	if len(schema.oneOf) > 0 && !slices.ContainsFunc(schema.oneOf, has) {
		t.Errorf("%q has none of %v", path, schema.oneOf)
	}
	for name, value := range object {
		if want := schema.attributes[name]; want != typeOf(value) && path != "unmapped" {
			t.Errorf("%q: %s is a %s, want %q", path, name, typeOf(value), want)
		}
		number, _ := value.(float64)
		if enum := schema.enums[name]; enum != nil && !slices.Contains(enum, number) {
			t.Errorf("%q: %s is %v", path, name, value)
		}
		if inner, ok := value.(map[string]any); ok {
			fitsOCSF(t, strings.TrimPrefix(path+"."+name, "."), inner)
		}
	}
}

// typeOf returns the JSON type of a decoded value.
func typeOf(value any) string {
	switch v := value.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case map[string]any:
		return "object"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
	}
	return "something else"
}

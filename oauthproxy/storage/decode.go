package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"cognito-token-handler/tokenhandler/web"
)

// maxBody bounds a request body, in bytes. A key of 900 bytes that are all escaped
// needs less than half of it.
const maxBody = 16 << 10

// maxQuoted bounds what an error quotes of the client's own text, in bytes.
const maxQuoted = 64

func invalid(detail string) *web.Problem {
	return web.NewProblem(web.CodeInvalidRequest, detail, nil)
}

// readJSON decodes q's body into fields: JSON name → pointer to a string, an integer, a
// list of either or a [stringMap]. It is stricter than encoding/json, so that every
// parser would read the same values from the body as are signed: it refuses unknown
// names, names in another case, repeated names, null, invalid UTF-8 and text after the
// object. A field whose name is absent stays as it is.
func (q *request) readJSON(fields map[string]any) error {
	media, params, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	charset, hasCharset := params["charset"]
	if err != nil || media != "application/json" || hasCharset && !strings.EqualFold(charset, "utf-8") {
		return invalid("the body must be sent as application/json")
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(http.MaxBytesReader(q.w, q.Body, maxBody)); err != nil {
		if problem := web.AsProblem(err); problem.Code == web.CodeTooLarge {
			return problem
		}
		return web.NewProblem(web.CodeInvalidRequest, "the body could not be read", fmt.Errorf("reading the body: %w", err))
	}
	return decodeObject(body.Bytes(), fields)
}

func decodeObject(body []byte, fields map[string]any) error {
	if !utf8.Valid(body) || !json.Valid(body) {
		return invalid("the body is not valid JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return invalid("the body is not a JSON object")
	}
	seen := make(map[string]bool, len(fields))
	for dec.More() {
		token, _ := dec.Token() // the body is valid JSON, so this is a name
		name, _ := token.(string)
		field, known := fields[name]
		if !known {
			return invalid(fmt.Sprintf("the body holds the unknown field %q", web.Excerpt(name, maxQuoted)))
		}
		if seen[name] {
			return invalid(fmt.Sprintf("the body holds %q twice", name))
		}
		seen[name] = true
		if err := decodeField(dec, name, field); err != nil {
			return err
		}
	}
	return nil
}

func decodeField(dec *json.Decoder, name string, field any) error {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil || string(raw) == "null" || json.Unmarshal(raw, field) != nil {
		return invalid(fmt.Sprintf("%q must be %s", name, kindOf(field)))
	}
	return nil
}

func kindOf(field any) string {
	switch field.(type) {
	case *int64, **int64:
		return "a whole number"
	case *[]int32:
		return "a list of whole numbers"
	case *[]string:
		return "a list of strings"
	case *stringMap:
		return "an object of strings, without repeated names"
	}
	return "a string"
}

// stringMap is a JSON object of strings without repeated names.
type stringMap map[string]string

var errStringMap = errors.New("not an object of strings without repeated names")

// UnmarshalJSON implements [json.Unmarshaler]. The JSON is valid.
func (m *stringMap) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return errStringMap
	}
	*m = stringMap{}
	for dec.More() {
		name, _ := dec.Token()
		value, err := dec.Token()
		nameText, _ := name.(string)
		text, isText := value.(string)
		if _, repeated := (*m)[nameText]; err != nil || !isText || repeated {
			return errStringMap
		}
		(*m)[nameText] = text
	}
	return nil
}

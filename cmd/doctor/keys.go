package doctor

import (
	"bytes"
	"fmt"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/seal"
)

// Key is a session key in a file: its id, never the key.
type Key struct {
	ID   string
	Line int // from 1 on
	// Use says what the service does with it.
	Use string
}

// KeysIn returns the keys in the content of a file of session keys, in their order.
func KeysIn(content []byte) ([]Key, error) {
	parsed, err := config.ParseKeys(content)
	if err != nil {
		return nil, err
	}
	ring, err := seal.NewKeyring(config.KeyBytes(parsed))
	if err != nil {
		return nil, err
	}
	ids := ring.IDs()
	keys := make([]Key, 0, len(ids))
	for i, line := range keyLines(content) {
		keys = append(keys, Key{ID: ids[i].String(), Line: line, Use: keyUse(i)})
	}
	return keys, nil
}

func keyUse(number int) string {
	if number == 0 {
		return "encrypts and decrypts"
	}
	return "decrypts"
}

// keyLines returns the numbers of the lines with a key, from 1 on, in the order of
// [config.ParseKeys].
func keyLines(content []byte) (numbers []int) {
	number := 0
	for line := range bytes.Lines(content) {
		number++
		if line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\ufeff"))); len(line) > 0 && line[0] != '#' {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// keys names the session keys. All replicas must have the same ones.
func (d *doctor) keys() []Finding {
	name := d.Service.Session.KeysFile
	if name == "" {
		ring, err := seal.NewKeyring(config.KeyBytes(d.Service.Session.Keys))
		if err != nil {
			return []Finding{fault(AreaHost, "session.keys cannot be used: "+err.Error()+".", "See `tokenhandler check`.")}
		}
		var found []Finding
		for i, id := range ring.IDs() {
			found = append(found, good(AreaHost, "The session key %s is number %d of session.keys: it %s.", id, i+1, keyUse(i)))
		}
		return found
	}
	content, err := d.ReadFile(name)
	if err != nil {
		return []Finding{fault(AreaHost, "session.keys_file cannot be read: "+err.Error()+".", "Let this user read the file.")}
	}
	keys, err := KeysIn(content)
	if err != nil {
		return []Finding{fault(AreaHost, "session.keys_file cannot be used: "+err.Error()+".", "Make keys with `tokenhandler keygen`.")}
	}
	var found []Finding
	for _, key := range keys {
		found = append(found, good(AreaHost, "The session key %s is in line %d of %s: it %s.", key.ID, key.Line, quoted(name), key.Use))
	}
	return found
}

// String is the key's line of `tokenhandler keygen --ids`.
func (k Key) String() string { return fmt.Sprintf("%s\tline %d\t%s", k.ID, k.Line, k.Use) }

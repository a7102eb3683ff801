package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const (
	// KeySize is the length of a key in bytes (AES-256).
	KeySize = 32
	// MaxKeys is how many keys a [Keyring] may hold: whoever learns one of them
	// can make cookies.
	MaxKeys = 16
)

var (
	errKeyNotBase64 = errors.New("is not base64")
	errKeyRepeats   = fmt.Errorf("is the same byte %d times", KeySize)
)

// ParseKey decodes a key that is written as text: [KeySize] bytes in standard or
// URL-safe base64, with or without padding. A key of one repeated byte is
// refused, because it is a placeholder and not random. The error completes a
// sentence that begins with "the key"; it quotes nothing of the text.
func ParseKey(text string) ([]byte, error) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawStdEncoding.Strict().DecodeString(text)
	switch {
	case err != nil:
		return nil, errKeyNotBase64 // the library's own error quotes the input
	case len(raw) != KeySize:
		return nil, fmt.Errorf("is %d bytes long and not %d", len(raw), KeySize)
	case bytes.Count(raw, raw[:1]) == KeySize:
		return nil, errKeyRepeats
	}
	return raw, nil
}

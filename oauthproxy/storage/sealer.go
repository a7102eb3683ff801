package storage

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Sealer encrypts and authenticates what the client keeps for the service.
// seal.Codec implements it. It may be called concurrently.
type Sealer interface {
	// Encode seals a []byte. The result is safe in a path and in a query.
	Encode(name string, value any) (string, error)
	// Decode opens a value into a *[]byte. It returns an error if the value was changed
	// or made up, or was sealed with another name or with a key that is no longer known.
	Decode(name, value string, dst any) error
}

// sealedFor returns a name for the Sealer that binds a value to its parts. None of them
// can contain a NUL byte.
func sealedFor(parts ...string) string { return "storage\x00" + strings.Join(parts, "\x00") }

func (h *Handler) seal(name string, value any) (string, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("sealing: %w", err)
	}
	sealed, err := h.cfg.Sealer.Encode(name, plain)
	if err != nil {
		return "", fmt.Errorf("sealing: %w", err)
	}
	return sealed, nil
}

func (h *Handler) unseal(name, sealed string, into any) error {
	var plain []byte
	if err := h.cfg.Sealer.Decode(name, sealed, &plain); err != nil {
		return fmt.Errorf("unsealing: %w", err)
	}
	if err := json.Unmarshal(plain, into); err != nil {
		return fmt.Errorf("unsealing: %w", err)
	}
	return nil
}

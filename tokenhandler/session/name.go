package session

import (
	"encoding/hex"
	"fmt"
	"log/slog"
)

// Name is the public name of a session: the first 8 bytes of the SHA-256 hash of
// its [ID]. Logs, deny lists and replicas name a session by it, because it cannot
// be turned back into a cookie (ASVS V16.2.5).
type Name [8]byte

// ParseName reads the 16 hexadecimal digits that [Name.String] writes, in either
// case. It returns an error if text is anything else.
func ParseName(text string) (Name, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(Name{}) {
		return Name{}, fmt.Errorf("parsing the name of a session: want %d hexadecimal digits", 2*len(Name{}))
	}
	return Name(raw), nil
}

// String returns the name as 16 lower-case hexadecimal digits.
func (n Name) String() string { return hex.EncodeToString(n[:]) }

// LogValue implements [slog.LogValuer]: logs show [Name.String].
func (n Name) LogValue() slog.Value { return slog.StringValue(n.String()) }

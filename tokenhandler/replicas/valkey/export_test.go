package valkey

import (
	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
)

// What tests from outside see of the inside.

// Parse is parse.
func Parse(url string) (valkey.ClientOption, error) { return parse(secret.New(url)) }

// Encode is encode, as the fields of the stream.
func Encode(e replicas.Revocation) (map[string]string, error) {
	r, err := encode(e)
	return map[string]string{"until": r.until, "kind": r.kind, "name": r.name, "before": r.before}, err
}

// Decode is decode.
func Decode(fields map[string]string) (replicas.Revocation, error) { return decode(fields) }

// Refusal is refusal.
func Refusal(text string) (why error, whole bool) { return refusal(text) }

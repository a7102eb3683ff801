package valkey

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
)

// These functions show tests from outside what is inside.

// Parse is parse. It returns the name of the cache for which a user logs in with IAM.
func Parse(url string) (options valkey.ClientOption, cache string, err error) {
	t, err := parse(secret.New(url))
	if t.iam != nil {
		cache = t.iam.cache
	}
	return t.options, cache, err
}

// Token is the token with which the user of a URL logs in.
func Token(ctx context.Context, url string, credentials aws.CredentialsProvider, now time.Time) (string, error) {
	t, err := parse(secret.New(url))
	if err != nil {
		return "", err
	}
	t.iam.credentials, t.iam.now = credentials, func() time.Time { return now }
	return t.iam.token(ctx)
}

// Encode is encode, as the fields of the stream.
func Encode(e replicas.Revocation) (map[string]string, error) {
	r, err := encode(e)
	return map[string]string{"until": r.until, "kind": r.kind, "name": r.name, "before": r.before}, err
}

// Fields is encode, as the values of the stream's entries.
func Fields(sealer Sealer, e replicas.Revocation) ([]string, error) {
	r, err := encode(e)
	if err != nil {
		return nil, err
	}
	return r.fields(sealer)
}

// Decode is decode.
func Decode(fields map[string]string) (replicas.Revocation, error) { return decode(nil, fields) }

// DecodeSealed is decode with a sealer.
func DecodeSealed(sealer Sealer, fields map[string]string) (replicas.Revocation, error) {
	return decode(sealer, fields)
}

// Refusal is refusal.
func Refusal(text string) (reason error, outage bool) { return refusal(text) }

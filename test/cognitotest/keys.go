package cognitotest

import (
	"crypto/rsa"
	"crypto/x509"
	_ "embed" // the keys
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
)

// The keys are embedded, because generating RSA keys takes seconds under the race
// detector, and because the tokens of a seed must be the same in every process.
//
//go:embed testdata/keys.pem
var keysPEM []byte

//nolint:gochecknoglobals // parsed once in a process, never changed
var embeddedKeys = sync.OnceValue(parseKeys)

// foreignKey is the index of the key that is in no JWKS.
const foreignKey = 0

func parseKeys() []*rsa.PrivateKey {
	var keys []*rsa.PrivateKey
	for block, rest := pem.Decode(keysPEM); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			panic(fmt.Sprintf("cognitotest: parsing the embedded keys: %v", err))
		}
		keys = append(keys, key)
	}
	if len(keys) < 3 {
		panic(fmt.Sprintf("cognitotest: %d embedded keys, need 3", len(keys)))
	}
	return keys
}

// signingKey is a key of the JWKS.
type signingKey struct {
	kid  string
	priv *rsa.PrivateKey
}

// keyPair holds the signing keys that are in use at one time. Cognito signs ID tokens
// and access tokens with different keys.
type keyPair struct{ id, access signingKey }

// newKeyPair returns the keys of a generation. Every generation has key ids of its
// own, while the few RSA keys are used again.
func newKeyPair(generation int, single bool) keyPair {
	keys := embeddedKeys()
	usable := len(keys) - 1
	key := func(n int) signingKey {
		raw := make([]byte, 32)
		_, _ = newStream(fmt.Sprintf("kid %d", n)).Read(raw)
		return signingKey{kid: base64.StdEncoding.EncodeToString(raw), priv: keys[1+n%usable]}
	}
	pair := keyPair{id: key(2 * generation), access: key(2*generation + 1)}
	if single {
		pair.access = pair.id
	}
	return pair
}

func (p keyPair) all() []signingKey {
	if p.id.kid == p.access.kid {
		return []signingKey{p.id}
	}
	return []signingKey{p.id, p.access}
}

func (k signingKey) jwk() map[string]string {
	enc := base64.RawURLEncoding.EncodeToString
	return map[string]string{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.kid,
		"n": enc(k.priv.N.Bytes()),
		"e": enc(big.NewInt(int64(k.priv.E)).Bytes()),
	}
}

package cognito

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// everyAlgorithm is for parsing tokens WITHOUT verifying them.
//
//nolint:gochecknoglobals // a constant list
var everyAlgorithm = []jose.SignatureAlgorithm{
	jose.HS256, jose.HS384, jose.HS512, jose.RS256, jose.RS384, jose.RS512,
	jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
}

// algorithmsOf returns the algorithms with which the provider may sign: those of its
// discovery document, or RS256, which is the default (OpenID Connect Discovery 1.0
// §3). Cognito signs with RS256 only. Algorithms with a shared secret (HS256 and so
// on) are never among them: whoever knows the client secret could make tokens. Nor is
// none (RFC 8725 §3.1).
func algorithmsOf(profile Profile, document discoveryDocument) []jose.SignatureAlgorithm {
	var accepted []jose.SignatureAlgorithm
	if profile != Cognito {
		for _, name := range document.Algorithms {
			if alg := jose.SignatureAlgorithm(name); isAsymmetric(alg) && !slices.Contains(accepted, alg) {
				accepted = append(accepted, alg)
			}
		}
	}
	if len(accepted) == 0 {
		return []jose.SignatureAlgorithm{jose.RS256}
	}
	return accepted
}

func isAsymmetric(alg jose.SignatureAlgorithm) bool {
	return slices.Contains(everyAlgorithm, alg) && !strings.HasPrefix(string(alg), "HS")
}

// fits reports whether key can verify signatures of alg. A key that names another
// algorithm or use does not (RFC 7517 §4.2, §4.4).
func fits(key *jose.JSONWebKey, alg jose.SignatureAlgorithm) bool {
	if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != string(alg) {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(string(alg), "RS") || strings.HasPrefix(string(alg), "PS")
	case *ecdsa.PublicKey:
		return map[elliptic.Curve]jose.SignatureAlgorithm{
			elliptic.P256(): jose.ES256, elliptic.P384(): jose.ES384, elliptic.P521(): jose.ES512,
		}[public.Curve] == alg
	case ed25519.PublicKey:
		return alg == jose.EdDSA
	}
	return false
}

// namesOf returns the algorithms for a message.
func namesOf(algorithms []jose.SignatureAlgorithm) string {
	names := make([]string, len(algorithms))
	for i, alg := range algorithms {
		names[i] = string(alg)
	}
	return strings.Join(names, ", ")
}

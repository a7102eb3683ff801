// Package seal encrypts and authenticates cookie values with keys that can be
// rotated.
//
// [Codec] is a securecookie.Codec, the interface through which gorilla/sessions
// encodes and decodes cookies. It is the only way to seal or open a value. A
// [Keyring] holds its keys: the first key seals, every key opens, so that a key
// can be replaced without logging anybody out (OWASP ASVS V11.2.2).
//
// A sealed value is
//
//	version (1 byte) | key id (4) | nonce (12) | AES-256-GCM ciphertext and tag
//
// in base64url without padding. The version, the key id, the [Binding] and the cookie's
// name are the additional authenticated data: a value that an attacker copies to a
// cookie of another name, or to a service with the same key but another binding, does
// not open. Version 1, of earlier releases, had no binding.
//
// The nonce is random, so one key may seal at most 2^32 values (NIST SP 800-38D
// §8.3). A service with a hundred logins a second reaches that after sixteen
// months; rotate the key before.
//
// The package does not depend on HTTP and on what is sealed.
package seal

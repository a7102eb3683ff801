// Package seal owns authenticated encryption of cookie values with rotating
// keys. A [Keyring] seals with its first key and opens with all of them, so a
// key can be replaced without logging anybody out (ASVS V11.2.2).
//
// A sealed value is
//
//	version (1 byte) | key id (4) | nonce (12) | AES-256-GCM ciphertext and tag
//
// in base64url without padding. The version, the key id and the cookie's name
// are authenticated with it: a value moved to another cookie does not open.
// The nonce is random; at 2^32 values a key (ASVS V11.3.4) a service that logs
// in a hundred users a second has sixteen months to rotate.
//
// [Codec] is a securecookie.Codec, so whatever speaks gorilla can use it.
//
// It knows nothing of HTTP, of sessions and of what it seals.
package seal

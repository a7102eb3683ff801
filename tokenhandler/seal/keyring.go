package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

const (
	version = 2
	// unbound is the version of values without a binding. They are not made any more,
	// and open in this minor version and the next.
	unbound   = 1
	idSize    = 4
	headSize  = 1 + idSize
	nonceSize = 12
	tagSize   = 16
	// Overhead is the number of bytes that sealing adds to a plaintext, before
	// base64url.
	Overhead = headSize + nonceSize + tagSize
)

// The reasons why a value does not open. They are for logs and metrics; a client
// is told only that it has no session.
var (
	// ErrMalformed: the value is not base64url, too short, too long, or of another
	// version.
	ErrMalformed = errors.New("malformed sealed value")
	// ErrUnknownKey: the value was sealed with a key that is not on the keyring: not
	// yet, or no longer. Or it is of a later version than this program knows.
	ErrUnknownKey = errors.New("sealed by an unknown key")
	// ErrTampered: the value was changed, cut, or moved from a cookie of another name,
	// or it belongs to something else (see [Binding]).
	ErrTampered = errors.New("sealed value does not authenticate")
)

// KeyID names a key without revealing it. It prints as eight hex digits.
type KeyID [idSize]byte

// String is the id in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Keyring holds the keys of a [Codec]. It is safe for concurrent use.
type Keyring struct {
	keys    atomic.Pointer[[]key] // the sealing key first
	buffers sync.Pool             // of *buffers
	reload  func()                // see OnUnknownKey; or nil
}

type key struct {
	id   KeyID
	aead cipher.AEAD
}

// buffers are the memory for opening one value.
type buffers struct {
	sealed []byte // the value without base64url; decrypted in place
	aad    []byte // the additional authenticated data
}

// NewKeyring makes a keyring of 1 to [MaxKeys] different keys of [KeySize] bytes
// each. The first key seals, every key opens.
func NewKeyring(keys [][]byte) (*Keyring, error) {
	k := &Keyring{buffers: sync.Pool{New: func() any {
		return &buffers{sealed: make([]byte, 0, 4<<10), aad: make([]byte, 0, 256)}
	}}}
	if err := k.Replace(keys); err != nil {
		return nil, err
	}
	return k, nil
}

// Replace replaces all keys at once. After an error the old keys stay.
func (k *Keyring) Replace(keys [][]byte) error {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return fmt.Errorf("building keyring: %d keys, want 1 to %d", len(keys), MaxKeys)
	}
	next := make([]key, 0, len(keys))
	for i, raw := range keys {
		added, err := newKey(raw)
		if err != nil {
			return fmt.Errorf("building keyring: key %d: %w", i+1, err)
		}
		if find(next, added.id) != nil {
			return fmt.Errorf("building keyring: key %d is there twice", i+1)
		}
		next = append(next, added)
	}
	k.keys.Store(&next)
	return nil
}

// OnUnknownKey sets a function that is called when a value was sealed with a key that
// is not on the keyring: another replica may have loaded a new key already. If the
// function replaces the keys, the value may open after all. Clients can make up the ids
// of keys, so the function must limit how often it does work. OnUnknownKey must be
// called before the keyring is used.
func (k *Keyring) OnUnknownKey(reload func()) { k.reload = reload }

// find returns the key with that id. If there is none, it first gives OnUnknownKey's
// function the chance to load it. The result is nil if the key stays unknown.
func (k *Keyring) find(id KeyID) *key {
	found := find(*k.keys.Load(), id)
	if found != nil || k.reload == nil {
		return found
	}
	k.reload()
	return find(*k.keys.Load(), id)
}

func newKey(raw []byte) (key, error) {
	if len(raw) != KeySize {
		return key{}, fmt.Errorf("%d bytes, want %d", len(raw), KeySize)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return key{}, fmt.Errorf("preparing AES: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return key{}, fmt.Errorf("preparing GCM: %w", err)
	}
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte("cognito-token-handler key id"))
	return key{id: KeyID(mac.Sum(nil)[:idSize]), aead: aead}, nil
}

func find(keys []key, id KeyID) *key {
	for i := range keys {
		if keys[i].id == id {
			return &keys[i]
		}
	}
	return nil
}

// IDs lists the ids of the keys, the sealing key first.
func (k *Keyring) IDs() []KeyID {
	keys := *k.keys.Load()
	ids := make([]KeyID, len(keys))
	for i := range keys {
		ids[i] = keys[i].id
	}
	return ids
}

// Version tells the keys of a [Keyring] at one time from those at another. Two versions
// are equal if the keys were not replaced in between.
type Version struct{ keys *[]key }

// Version returns the version of the keys of now.
func (k *Keyring) Version() Version { return Version{k.keys.Load()} }

// seal encrypts plaintext for the cookie called name.
func (k *Keyring) seal(binding Binding, name string, plaintext []byte) string {
	first := &(*k.keys.Load())[0]
	sealed := make([]byte, 0, Overhead+len(plaintext))
	sealed = append(sealed, version)
	sealed = append(sealed, first.id[:]...)
	aad := append(append(sealed[:headSize:headSize], binding[:]...), name...)
	sealed = sealed[:headSize+nonceSize]
	nonce := sealed[headSize:]
	_, _ = rand.Read(nonce) // never fails (Go 1.24)
	sealed = first.aead.Seal(sealed, nonce, plaintext, aad)
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// strictBase64 gives every value one spelling: it refuses bits after the last
// byte.
//
//nolint:gochecknoglobals // a constant
var strictBase64 = base64.RawURLEncoding.Strict()

// decode removes base64url from the parts of a value, which have at most limit
// characters together.
func (b *buffers) decode(parts []string, limit int) error {
	b.sealed = b.sealed[:0]
	for _, part := range parts {
		if limit -= len(part); limit < 0 {
			return ErrMalformed
		}
		n := len(b.sealed)
		need := n + strictBase64.DecodedLen(len(part))
		if cap(b.sealed) < need {
			b.sealed = append(make([]byte, 0, need), b.sealed...)
		}
		written, err := strictBase64.Decode(b.sealed[n:need], []byte(part))
		if err != nil || strictBase64.EncodedLen(written) != len(part) { // the decoder skips line breaks
			return ErrMalformed
		}
		b.sealed = b.sealed[:need]
	}
	return nil
}

// isUnbound reports whether the value has no binding. It has a version.
func (b *buffers) isUnbound() bool { return b.sealed[0] == unbound }

// open authenticates b.sealed for the cookie called name and decrypts it in
// place. The id is that of the key.
func (k *Keyring) open(binding *Binding, name string, b *buffers) ([]byte, KeyID, error) {
	sealed := b.sealed
	switch {
	case len(sealed) < Overhead || sealed[0] < unbound:
		return nil, KeyID{}, ErrMalformed
	case sealed[0] > version: // a replica that runs a later release has sealed it
		return nil, KeyID{}, ErrUnknownKey
	}
	id := KeyID(sealed[1:headSize])
	found := k.find(id)
	if found == nil {
		return nil, id, ErrUnknownKey
	}
	b.aad = append(b.aad[:0], sealed[:headSize]...)
	if !b.isUnbound() {
		b.aad = append(b.aad, binding[:]...)
	}
	b.aad = append(b.aad, name...)
	nonce, ciphertext := sealed[headSize:headSize+nonceSize], sealed[headSize+nonceSize:]
	plain, err := found.aead.Open(ciphertext[:0], nonce, ciphertext, b.aad)
	if err != nil {
		return nil, id, ErrTampered
	}
	return plain, id, nil
}

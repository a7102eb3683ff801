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
	version   = 1
	idSize    = 4
	headSize  = 1 + idSize
	nonceSize = 12
	tagSize   = 16
	// Overhead is how many bytes a sealed value has more than its plaintext,
	// before base64url.
	Overhead = headSize + nonceSize + tagSize
)

// The reasons why a value does not open. They are for logs and metrics; to the
// client all of them are "no session".
var (
	// ErrMalformed: not base64url, too short, or of another version.
	ErrMalformed = errors.New("malformed sealed value")
	// ErrUnknownKey: sealed by a key that is not on the ring (any more).
	ErrUnknownKey = errors.New("sealed by an unknown key")
	// ErrTampered: changed, cut, or moved from a cookie of another name.
	ErrTampered = errors.New("sealed value does not authenticate")
)

// KeyID names a key without revealing it. It prints as eight hex digits.
type KeyID [idSize]byte

// String is the id in hex.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// Keyring seals and opens. It is safe for concurrent use.
type Keyring struct {
	ring atomic.Pointer[ring]
	// scratch holds *[]byte in which the additional data is put together.
	scratch sync.Pool
}

type ring struct {
	keys []key
}

type key struct {
	id   KeyID
	aead cipher.AEAD
}

// NewKeyring makes a ring of 1 to [MaxKeys] keys of [KeySize] bytes each. The
// first seals.
func NewKeyring(keys [][]byte) (*Keyring, error) {
	k := &Keyring{scratch: sync.Pool{New: func() any { b := make([]byte, 0, 256); return &b }}}
	if err := k.Replace(keys); err != nil {
		return nil, err
	}
	return k, nil
}

// Replace swaps all keys at once. After an error the ring is as it was.
func (k *Keyring) Replace(keys [][]byte) error {
	if len(keys) == 0 || len(keys) > MaxKeys {
		return fmt.Errorf("building keyring: %d keys, want 1 to %d", len(keys), MaxKeys)
	}
	next := &ring{}
	for i, raw := range keys {
		added, err := newKey(raw)
		if err != nil {
			return fmt.Errorf("building keyring: key %d: %w", i+1, err)
		}
		if next.find(added.id) != nil {
			return fmt.Errorf("building keyring: key %d is on the ring twice", i+1)
		}
		next.keys = append(next.keys, added)
	}
	k.ring.Store(next)
	return nil
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

func (r *ring) find(id KeyID) *key {
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
}

// IDs lists the ring's key ids, the sealing key first.
func (k *Keyring) IDs() []KeyID {
	keys := k.ring.Load().keys
	ids := make([]KeyID, len(keys))
	for i := range keys {
		ids[i] = keys[i].id
	}
	return ids
}

// Seal encrypts plaintext for the cookie called name and appends the result,
// base64url, to dst.
func (k *Keyring) Seal(dst []byte, name string, plaintext []byte) []byte {
	first := &k.ring.Load().keys[0]
	sealed := make([]byte, 0, Overhead+len(plaintext))
	sealed = append(sealed, version)
	sealed = append(sealed, first.id[:]...)
	aad := append(sealed[:headSize:headSize], name...)
	sealed = sealed[:headSize+nonceSize]
	nonce := sealed[headSize:]
	_, _ = rand.Read(nonce) // never fails (Go 1.24)
	sealed = first.aead.Seal(sealed, nonce, plaintext, aad)
	return base64.RawURLEncoding.AppendEncode(dst, sealed)
}

// EncodedLen is the length of a sealed value whose plaintext has n bytes.
func EncodedLen(n int) int { return base64.RawURLEncoding.EncodedLen(n + Overhead) }

// DecodeLen is the number of bytes that n characters of base64url hold.
func DecodeLen(n int) int { return base64.RawURLEncoding.DecodedLen(n) }

// AppendDecode decodes a part of a sealed value, base64url, onto dst. A value
// that was split between two cookies is decoded part by part; every part but
// the last must have a multiple of four characters. The error is
// [ErrMalformed].
func AppendDecode(dst []byte, part string) ([]byte, error) {
	n := len(dst)
	need := n + DecodeLen(len(part))
	if cap(dst) < need {
		grown := make([]byte, n, need)
		copy(grown, dst)
		dst = grown
	}
	written, err := strictBase64.Decode(dst[n:need], []byte(part))
	if err != nil || n+written != need { // line breaks would be skipped
		return nil, ErrMalformed
	}
	return dst[:n+written], nil
}

//nolint:gochecknoglobals // a constant: one value has one spelling, also in its last bits
var strictBase64 = base64.RawURLEncoding.Strict()

// Open authenticates and decrypts sealed, the bytes that [AppendDecode] gave,
// in place: the result lies inside sealed. name must be the one it was sealed
// for. Errors: [ErrMalformed], [ErrUnknownKey], [ErrTampered].
func (k *Keyring) Open(name string, sealed []byte) ([]byte, KeyID, error) {
	if len(sealed) < Overhead || sealed[0] != version {
		return nil, KeyID{}, ErrMalformed
	}
	id := KeyID(sealed[1:headSize])
	found := k.ring.Load().find(id)
	if found == nil {
		return nil, id, ErrUnknownKey
	}
	scratch, ok := k.scratch.Get().(*[]byte)
	if !ok {
		return nil, id, ErrTampered
	}
	aad := append(append((*scratch)[:0], sealed[:headSize]...), name...)
	nonce, ciphertext := sealed[headSize:headSize+nonceSize], sealed[headSize+nonceSize:]
	plain, err := found.aead.Open(ciphertext[:0], nonce, ciphertext, aad)
	*scratch = aad
	k.scratch.Put(scratch)
	if err != nil {
		return nil, id, ErrTampered
	}
	return plain, id, nil
}

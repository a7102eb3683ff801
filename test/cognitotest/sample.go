package cognitotest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"time"
)

// refreshTokenSize is the approximate length of real pools' refresh tokens.
const refreshTokenSize = 1580

// TokenOptions are the options of [Tokens]. The tokens of the zero value have typical
// sizes: ID token 1,517, access token 1,175, refresh token 1,580 bytes.
type TokenOptions struct {
	Seed      uint64    // the same seed and options result in the same tokens
	Issuer    string    // default a pool in us-east-1
	ClientID  string    // default [DefaultClientID]
	User      User      // default a user with name, phone number and two groups
	Nonce     string    // default a random one of 43 characters
	IssuedAt  time.Time // default 2026-01-02 03:04:05 UTC
	AccessTTL time.Duration

	IDTokenSize      int // minimum in bytes, reached by padding with random text; default no padding
	AccessTokenSize  int // as IDTokenSize
	RefreshTokenSize int // default 1,580
}

// Tokens makes a set of tokens without a server. The ID token and the access token have
// Cognito's claims and are signed (RS256) with the keys of a new [Server]. The refresh
// token is opaque.
func Tokens(o TokenOptions) (id, access, refresh string) {
	random := newStream(fmt.Sprintf("tokens %d", o.Seed))
	if o.Issuer == "" {
		o.Issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI"
	}
	if o.ClientID == "" {
		o.ClientID = DefaultClientID
	}
	if o.User.Username == "" {
		o.User = sampleUser(random)
	}
	if o.Nonce == "" {
		o.Nonce = randomText(random, 43)
	}
	if o.IssuedAt.IsZero() {
		o.IssuedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	if o.RefreshTokenSize <= 0 {
		o.RefreshTokenSize = refreshTokenSize
	}
	ttl, keys := positiveOr(o.AccessTTL, time.Hour), newKeyPair(0, false)
	g := &grant{
		user: o.User.withDefaults(), issuer: o.Issuer, clientID: o.ClientID, nonce: o.Nonce,
		scope: "aws.cognito.signin.user.admin openid email profile", originJTI: uuidFrom(random), eventID: uuidFrom(random), authTime: o.IssuedAt,
	}
	at := g.accessToken(keys.access, o.IssuedAt, ttl, random)
	at.pad(o.AccessTokenSize, random)
	access = at.sign()
	it := g.idToken(keys.id, access, o.IssuedAt, ttl, random)
	it.pad(o.IDTokenSize, random)
	return it.sign(), access, opaqueToken(random, o.RefreshTokenSize)
}

// sampleUser returns a user of a pool with sign-in by e-mail address, whose user name is
// the sub.
func sampleUser(random io.Reader) User {
	sub := uuidFrom(random)
	return User{
		Username: sub, Sub: sub, Email: "ada.lovelace@example.com", Name: "Ada Lovelace",
		Groups: []string{"readers", "editors", "staff"},
		Attributes: map[string]any{
			"phone_number": "+15555550100", "phone_number_verified": true,
			"given_name": "Ada", "family_name": "Lovelace", "custom:tenant": "analytical-engines-ltd", "locale": "en-GB",
		},
	}
}

// opaqueToken returns a token in the form of Cognito's refresh tokens: a JWE of five
// parts (RFC 7516 §7.1) that only Cognito can decrypt. The parts after the header
// are random.
func opaqueToken(random io.Reader, size int) string {
	header := b64([]byte(`{"cty":"JWT","enc":"A256GCM","alg":"RSA-OAEP"}`))
	part := func(n int) string {
		raw := make([]byte, n)
		_, _ = io.ReadFull(random, raw)
		return b64(raw)
	}
	key, iv, tag := part(256), part(12), part(16)
	rest := size - len(header) - len(key) - len(iv) - len(tag) - 4
	ciphertext := part(max(16, base64.RawURLEncoding.DecodedLen(rest)))
	return header + "." + key + "." + iv + "." + ciphertext + "." + tag
}

// stream is an endless source of pseudo-random bytes that are the same for a seed.
type stream struct {
	seed  string
	block uint64
	left  []byte
}

func newStream(seed string) *stream { return &stream{seed: seed} }

// Read implements [io.Reader]; it never fails.
func (s *stream) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		if len(s.left) == 0 {
			sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.seed), s.block))
			s.block++
			s.left = sum[:]
		}
		c := copy(p[n:], s.left)
		s.left = s.left[c:]
		n += c
	}
	return len(p), nil
}

func uuidFrom(random io.Reader) string {
	raw := make([]byte, 16)
	_, _ = io.ReadFull(random, raw)
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	h := hex.EncodeToString(raw)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// randomText returns n characters that cannot be compressed.
func randomText(random io.Reader, n int) string {
	raw := make([]byte, n)
	_, _ = io.ReadFull(random, raw)
	return b64(raw)[:n]
}

package cognitotest

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"
)

// Token is a JWT before it is signed. Faults change it.
type Token struct {
	Header map[string]any
	Claims map[string]any

	key      *rsa.PrivateKey
	hmac     []byte              // if not nil, sign with HS256 and this key
	edit     func(string) string // if not nil, changes the signed token
	unsigned bool                // leave out the signature, as for alg none
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (t *Token) sign() string {
	signed := b64(mustJSON(t.Header)) + "." + b64(mustJSON(t.Claims))
	digest := sha256.Sum256([]byte(signed))
	var signature []byte
	switch {
	case t.unsigned:
	case t.hmac != nil:
		mac := hmac.New(sha256.New, t.hmac)
		_, _ = mac.Write([]byte(signed))
		signature = mac.Sum(nil)
	default:
		var err error
		if signature, err = rsa.SignPKCS1v15(nil, t.key, crypto.SHA256, digest[:]); err != nil {
			panic(fmt.Sprintf("cognitotest: signing a token: %v", err))
		}
	}
	out := signed + "." + b64(signature)
	if t.edit != nil {
		out = t.edit(out)
	}
	return out
}

// Forge signs the token with a key that is in no JWKS, and keeps its kid.
func (t *Token) Forge() { t.key = embeddedKeys()[foreignKey] }

// SignWith replaces how the token is signed: sign returns it in compact form, made of
// its header and its claims.
func (t *Token) SignWith(sign func(header, claims map[string]any) string) {
	t.edit = func(string) string { return sign(t.Header, t.Claims) }
}

// pad adds random text until the signed token has at least size bytes.
func (t *Token) pad(size int, random io.Reader) {
	const signatureBytes, claim = 256, "custom:padding"
	length := func() int {
		encoded := func(v any) int { return base64.RawURLEncoding.EncodedLen(len(mustJSON(v))) }
		return encoded(t.Header) + encoded(t.Claims) + base64.RawURLEncoding.EncodedLen(signatureBytes) + 2
	}
	if size <= length() {
		return
	}
	t.Claims[claim] = ""
	missing := max(0, size-length())
	t.Claims[claim] = randomText(random, (missing*3+3)/4)
}

// parse returns the claims of a JWT of the pool. It checks only the signature.
func (p keyPair) parse(raw string) (map[string]any, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a JWT")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("decoding the signature: %w", err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for _, key := range p.all() {
		if rsa.VerifyPKCS1v15(&key.priv.PublicKey, crypto.SHA256, digest[:], signature) == nil {
			return decodeClaims(parts[1])
		}
	}
	return nil, errors.New("signed by no key of the pool")
}

func decodeClaims(part string) (map[string]any, error) {
	payload, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil, fmt.Errorf("decoding the claims: %w", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, fmt.Errorf("decoding the claims: %w", err)
	}
	return claims, nil
}

// grant is the result of a login. Every token of its family is made from it.
type grant struct {
	user      User
	issuer    string
	clientID  string
	scope     string
	nonce     string
	resource  string
	originJTI string
	sid       string // only with Options.OpenID
	eventID   string
	authTime  time.Time
}

// accessToken returns an access token with the claims that Cognito's developer guide
// lists under "Understanding the access token". It has an aud only if the login
// requested a resource.
func (g *grant) accessToken(key signingKey, now time.Time, ttl time.Duration, random io.Reader) *Token {
	claims := map[string]any{
		"sub": g.user.Sub, "iss": g.issuer, "version": 2, "client_id": g.clientID,
		"origin_jti": g.originJTI, "event_id": g.eventID, "token_use": "access", "scope": g.scope,
		"auth_time": g.authTime.Unix(), "iat": now.Unix(), "exp": now.Add(ttl).Unix(),
		"jti": uuidFrom(random), "username": g.user.Username,
	}
	if len(g.user.Groups) > 0 {
		claims["cognito:groups"] = g.user.Groups
	}
	if g.resource != "" {
		claims["aud"] = g.resource
	}
	return newToken(key, claims)
}

// idToken returns an ID token with the claims that Cognito's developer guide lists
// under "Understanding the identity (ID) token".
func (g *grant) idToken(key signingKey, access string, now time.Time, ttl time.Duration, random io.Reader) *Token {
	half := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"sub": g.user.Sub, "iss": g.issuer, "aud": g.clientID, "token_use": "id",
		"cognito:username": g.user.Username, "email": g.user.Email, "email_verified": true,
		"origin_jti": g.originJTI, "event_id": g.eventID, "jti": uuidFrom(random),
		"auth_time": g.authTime.Unix(), "iat": now.Unix(), "exp": now.Add(ttl).Unix(),
		"at_hash": b64(half[:16]),
	}
	if g.user.Name != "" {
		claims["name"] = g.user.Name
	}
	if len(g.user.Groups) > 0 {
		claims["cognito:groups"] = g.user.Groups
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if g.sid != "" {
		claims["sid"] = g.sid
	}
	maps.Copy(claims, g.user.Attributes)
	return newToken(key, claims)
}

func newToken(key signingKey, claims map[string]any) *Token {
	return &Token{Header: map[string]any{"kid": key.kid, "alg": "RS256"}, Claims: claims, key: key.priv}
}

func mustJSON(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("cognitotest: encoding: %v", err))
	}
	return out
}

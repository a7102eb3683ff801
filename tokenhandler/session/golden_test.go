package session_test

import (
	"encoding/base64"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// goldenTokens are what goldenCookie was made of.
func goldenTokens(now time.Time) secret.Tokens {
	b64 := base64.RawURLEncoding.EncodeToString
	access := b64([]byte(`{"kid":"key-of-the-pool","alg":"RS256"}`)) + "." +
		b64([]byte(`{"sub":"6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d","token_use":"access","jti":"0a1b2c3d-4e5f-4677-8899-aabbccddeeff","username":"6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d"}`)) + "." +
		b64([]byte("a signature, raw bytes \x00\x01\x02"))
	refresh := b64([]byte(`{"cty":"JWT","enc":"A256GCM","alg":"RSA-OAEP"}`)) + "." + b64([]byte("key")) + "." + b64([]byte("iv")) + "." + b64([]byte("text")) + "." + b64([]byte("tag"))
	return secret.Tokens{
		Access: secret.New(access), Refresh: secret.New(refresh),
		AccessExpires: now.Add(time.Hour), AuthTime: now.Add(-time.Minute), NonceHash: [4]byte{1, 2, 3, 4},
		Subject: "6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d",
		Claims:  `{"sub":"6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d","email":"ada@example.com"}`,
	}
}

// TestCookiesOfVersion1StayReadable opens a cookie that was sealed when the
// format was made: a change of the format, or of one byte of the dictionary,
// would log everybody out at the next deployment.
func TestCookiesOfVersion1StayReadable(t *testing.T) {
	f := newFixture(t)
	var s session.Session
	if err := (session.Store{Manager: f.Manager}).Codec().Decode(sessionCookie, goldenCookie, &s); err != nil {
		t.Fatalf("a cookie of version 1 does not open: %v", err)
	}
	if field := sameTokens(allTokens(t, &s), goldenTokens(f.now)); field != "" {
		t.Errorf("%s differs", field)
	}
	if s.Generation != 1 || !s.Begun.Equal(f.now) || !s.Expires.Equal(f.now.Add(12*time.Hour)) || !s.Active.Equal(f.now) {
		t.Errorf("generation %d, begun %v, expires %v, active %v", s.Generation, s.Begun, s.Expires, s.Active)
	}
}

const goldenCookie = `AUJWSCa7exkXl0wb3TbFs84IYxX_YuVPg7krJRZzlR5UMIYp6w_STBSMGMdHC9RSuCpYj2SJmuV6p8dqVpcjeri6e5Bjk5w3rWiN0PlHVnbYrtSatH3grSnNf5okp8MGggvOlAX4lH2JLlhaylgHE1xUjkVvJB9nN0Ha_XI5UXZnPTmeAPk1xXd2WykgFMj9siKNzNDRZHnBgcL3mtkERtOjkNuak4MIlYnGz1sVAqNmF_2WOS6yQePkLfnhqfS5rWwOO4a6nl3x0HZL_i9gWhug0g`

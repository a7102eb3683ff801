package session_test

import (
	"encoding/base64"
	"encoding/binary"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// goldenTokens are the tokens in the golden cookies.
func goldenTokens(now time.Time) secret.Tokens {
	b64 := base64.RawURLEncoding.EncodeToString
	access := b64([]byte(`{"kid":"key-of-the-pool","alg":"RS256"}`)) + "." +
		b64([]byte(`{"sub":"6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d","token_use":"access","jti":"0a1b2c3d-4e5f-4677-8899-aabbccddeeff","username":"6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d"}`)) + "." +
		b64([]byte("a signature, raw bytes \x00\x01\x02"))
	refresh := b64([]byte(`{"cty":"JWT","enc":"A256GCM","alg":"RSA-OAEP"}`)) + "." + b64([]byte("key")) + "." + b64([]byte("iv")) + "." + b64([]byte("text")) + "." + b64([]byte("tag"))
	return secret.Tokens{
		Access: secret.New(access), Refresh: secret.New(refresh),
		AccessExpires: now.Add(time.Hour), AuthTime: now.Add(-time.Minute), NonceHash: [4]byte{1, 2, 3, 4},
		Subject:        "6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d",
		RefreshExpires: now.Add(20 * time.Hour), SID: "0f9a-session-at-the-provider",
		Claims: `{"sub":"6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d","email":"ada@example.com"}`,
	}
}

// TestCookiesOfVersion2StayReadable opens cookies that were sealed when their format
// was made. A change of the format, or of one byte of the dictionary, would log
// everybody out at the next deployment.
func TestCookiesOfVersion2StayReadable(t *testing.T) {
	f := newFixture(t)
	s := f.mustOpen(t, jar{sessionCookie: "1" + goldenSession})
	if field := sameTokens(allTokens(t, s), goldenTokens(f.now)); field != "" {
		t.Errorf("%s differs", field)
	}
	if s.SID != "0f9a-session-at-the-provider" || s.Rotates || !s.AccessIssued.Equal(f.now) || !s.RefreshExpires.Equal(f.now.Add(20*time.Hour)) {
		t.Errorf("sid %q, rotates %v, issued %v, refresh token's end %v", s.SID, s.Rotates, s.AccessIssued, s.RefreshExpires)
	}
	if s.Generation != 1 || !s.Begun.Equal(f.now) || !s.Expires.Equal(f.now.Add(12*time.Hour)) || !s.Active.Equal(f.now) {
		t.Errorf("generation %d, begun %v, expires %v, active %v", s.Generation, s.Begun, s.Expires, s.Active)
	}
}

// TestActivityAndLoginCookiesStayReadable does the same for the cookies of the
// other kinds, which an earlier release has written.
func TestActivityAndLoginCookiesStayReadable(t *testing.T) {
	f := newFixture(t)
	var activity []byte
	if err := codecOf(f).Decode(activeCookie, goldenActivity, &activity); err != nil || len(activity) != 32 {
		t.Fatalf("activity %x, %v", activity, err)
	}
	for _, seconds := range [][]byte{activity[16:24], activity[24:]} {
		if got := int64(binary.BigEndian.Uint64(seconds)); got != f.now.Unix() {
			t.Errorf("activity %x: %d, want %d", activity, got, f.now.Unix())
		}
	}
	name := f.Login + "AbCd_-12"
	gs, err := f.New(with(jar{name: goldenLogin}), name)
	const want = `{"s":"0state","n":"nonce","v":"verifier","r":"/notes?a=b&c","b":1767323045000}`
	if payload, _ := gs.Values[session.Key].([]byte); err != nil || string(payload) != want {
		t.Errorf("login %s, %v", payload, err)
	}
}

const (
	goldenSession  = `AUJWSCY4zMo_vl4tKahBS17J7oQWQPUSOVFvFLOxoMPtd6xFkAxYrEijB1d8EkLO6r0s8F1lkcpRSp3De3iLXtOL-rRTM2ZqYAvf95KEgm4G_3uvyd4LxqbJyZ0ZSaGTNwZMKpqRoflMZ-Lc0aVabxiYpf-z5cgwvABVW3AhN6tVL6WRNaZypIaN5uikcvg1pJT-HRoEsWttR4xRjG3rDSqn--ziU-L38aRYgJ_pn735_tFnOvGjftgOfQQSpUvSpMaFtqnthYP2WfbXaIRE_i49fSEG-fF3-GhVL_ekROLfHUCoMmpxbmKLyg`
	goldenActivity = `AUJWSCZf0MB2T1sPFOGqvZtizV3893giy1o-XzzIxebW2zaabGO1Zdu2zVdR3aDW4or6lkZ_wypdolf90V7_7dg`
	goldenLogin    = `AUJWSCaq_y3Jc7Qy2BdOSoue_rwjTgBZbAt3F8TcStkZ-A8hjClYP3aWoxucIQ7McdxaAShFIfIhYD-tsC9G2rLVrzhjXmLFX_JdUNGzhJM_F1HywM99G-s6Y_R0_hD8tcwk1hH7bBCLBCf3Y1jJ`
)

package session_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// The provider and the client of the golden cookies, and of every fixture.
const (
	goldenIssuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI"
	goldenClient = "1example23456789"
)

// goldenTokens are the tokens in the golden cookies.
func goldenTokens(now time.Time) secret.Tokens {
	b64 := base64.RawURLEncoding.EncodeToString
	access := b64([]byte(`{"kid":"key-of-the-pool","alg":"RS256"}`)) + "." +
		b64([]byte(`{"sub":"6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d","iss":"`+goldenIssuer+`","client_id":"`+goldenClient+`","token_use":"access","jti":"0a1b2c3d-4e5f-4677-8899-aabbccddeeff","username":"6f1f0d2c-3b7e-4a55-9c6d-1e2f3a4b5c6d"}`)) + "." +
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

// TestSessionCookiesStayReadable opens cookies that were sealed when their format was
// made. A change of the format, or of one byte of the dictionary, would log everybody
// out at the next deployment.
func TestSessionCookiesStayReadable(t *testing.T) {
	for name, sealed := range map[string]string{"bound": goldenSession, "unbound": unboundSession} {
		t.Run(name, func(t *testing.T) { wantGolden(t, sealed) })
	}
}

func wantGolden(t *testing.T, sealed string) {
	t.Helper()
	f := newFixture(t)
	s := f.mustOpen(t, jar{sessionCookie: "1" + sealed})
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

// TestCookiesOfOthersDoNotOpen: a service for another client or provider may have the
// same keys by mistake. Cookies that an earlier release has sealed open only if their
// tokens name this provider and this client.
func TestCookiesOfOthersDoNotOpen(t *testing.T) {
	for name, c := range map[string]struct{ sealed, issuer, client string }{
		"bound to another client":     {goldenSession, goldenIssuer, "another"},
		"bound to another issuer":     {goldenSession, goldenIssuer + "x", goldenClient},
		"unbound, of another client":  {unboundSession, goldenIssuer, "another"},
		"unbound, of another issuer":  {unboundSession, goldenIssuer + "x", goldenClient},
		"unbound, tokens name nobody": {anonymousSession, goldenIssuer, goldenClient},
	} {
		f := newFixture(t, func(cfg *session.Config) { cfg.Issuer, cfg.ClientID = c.issuer, c.client })
		if s, err := f.open(jar{sessionCookie: "1" + c.sealed}.header()); !errors.Is(err, session.ErrUnreadable) || s != nil {
			t.Errorf("%s: opened %v, %v", name, s, err)
		}
	}
	shared := mustSeal(t, newFixture(t), "shared")
	other := newFixture(t, func(cfg *session.Config) { cfg.ClientID = "another" })
	if err := other.Codec().Decode("shared", shared, &session.Session{}); !errors.Is(err, session.ErrUnreadable) {
		t.Errorf("a session in the store: %v", err)
	}
}

// TestUnboundTokensThatNameTheClient: which claims of which token say that an old cookie
// is ours.
func TestUnboundTokensThatNameTheClient(t *testing.T) {
	f := newFixture(t, func(c *session.Config) { c.KeepIDToken = true })
	token := func(claims string) secret.String {
		return secret.New("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln")
	}
	iss := `"iss":"` + goldenIssuer + `"`
	for name, c := range map[string]struct {
		access, id secret.String
		want       bool
	}{
		"client_id":                       {token(`{` + iss + `,"client_id":"` + goldenClient + `"}`), secret.String{}, true},
		"azp":                             {token(`{` + iss + `,"azp":"` + goldenClient + `","aud":"api"}`), secret.String{}, true},
		"aud of an ID token":              {secret.New("opaque"), token(`{` + iss + `,"aud":"` + goldenClient + `"}`), true},
		"auds of an ID token":             {secret.New("opaque"), token(`{` + iss + `,"aud":["x","` + goldenClient + `"]}`), true},
		"both":                            {token(`{` + iss + `,"client_id":"` + goldenClient + `"}`), token(`{` + iss + `,"aud":"` + goldenClient + `"}`), true},
		"an access token of an API":       {token(`{` + iss + `,"aud":"api","cid":"` + goldenClient + `"}`), token(`{` + iss + `,"aud":"` + goldenClient + `"}`), true},
		"an ID token of another client":   {token(`{` + iss + `,"client_id":"` + goldenClient + `"}`), token(`{` + iss + `,"aud":"x"}`), false},
		"no issuer":                       {token(`{"client_id":"` + goldenClient + `"}`), secret.String{}, false},
		"no client":                       {token(`{` + iss + `}`), secret.String{}, false},
		"aud that is no string":           {secret.New("opaque"), token(`{` + iss + `,"aud":7}`), false},
		"opaque":                          {secret.New("opaque"), secret.String{}, false},
		"two parts":                       {secret.New(strings.TrimSuffix(token(`{`+iss+`,"client_id":"`+goldenClient+`"}`).Reveal(), ".c2ln")), secret.String{}, false},
		"a payload that breaks off":       {secret.New(strings.Replace(token(padded(`{`+iss+`,"client_id":"`+goldenClient+`"}`)).Reveal(), ".c2ln", "!.c2ln", 1)), secret.String{}, false},
		"aud beside another client's azp": {secret.New("opaque"), token(`{` + iss + `,"azp":"x","aud":"` + goldenClient + `"}`), false},
	} {
		tokens := goldenTokens(f.now)
		tokens.Access, tokens.ID = c.access, c.id
		if got := f.NamesUs(payloadOf(t, f, tokens)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// padded returns a text whose base64 ends with a whole group.
func padded(text string) string { return text + strings.Repeat(" ", 2-(len(text)+2)%3) }

// payloadOf returns the payload of a session with these tokens.
func payloadOf(t *testing.T, f *fixture, tokens secret.Tokens) (payload []byte) {
	t.Helper()
	sealed, err := f.Codec().Encode("x", f.Begin(tokens, f.now))
	if err == nil {
		err = codecOf(f).Decode("x", sealed, &payload)
	}
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// TestActivityAndLoginCookiesStayReadable does the same as
// [TestSessionCookiesStayReadable] for the cookies of the other kinds.
func TestActivityAndLoginCookiesStayReadable(t *testing.T) {
	for name, c := range map[string]struct{ activity, login string }{
		"bound": {goldenActivity, goldenLogin}, "unbound": {unboundActivity, unboundLogin},
	} {
		f := newFixture(t)
		var activity []byte
		codec := codecOf(f)
		codec.Unbound = func([]byte) bool { return true }
		if err := codec.Decode(activeCookie, c.activity, &activity); err != nil || len(activity) != 32 {
			t.Fatalf("%s: activity %x, %v", name, activity, err)
		}
		for _, seconds := range [][]byte{activity[16:24], activity[24:]} {
			if got := int64(binary.BigEndian.Uint64(seconds)); got != f.now.Unix() {
				t.Errorf("%s: activity %x: %d, want %d", name, activity, got, f.now.Unix())
			}
		}
		cookie := f.Login + "AbCd_-12"
		gs, err := f.New(with(jar{cookie: c.login}), cookie)
		const want = `{"s":"0state","n":"nonce","v":"verifier","r":"/notes?a=b&c","b":1767323045000}`
		if payload, _ := gs.Values[session.Key].([]byte); err != nil || string(payload) != want {
			t.Errorf("%s: login %s, %v", name, payload, err)
		}
	}
}

const (
	goldenSession  = `AkJWSCbIhJiKSakVf2BaqRk4uZRZYb2j_w8XZvaII25UxZv9ndZmqWuzQxzSMHwTfL77H829PpYKhW55erG3OGa4eJLGSc6TGnUGBU-xi1Qc6uy_7bdTxTK71AIj_8m8p4c2FhnWu1MzVYAgZ_4XP7hCWEykUktVcC4NsD9Wfbmo1rT2w5mpeMSKU9TzfjBNk--VGCp815_WO3bfyWhpmidZewzpvibkltnIx8enFWsSDAL24BQWTrXTHRE0A8Ziaoue9_Qn5qtDR6zDfw5XdJpV6tON9uH6ptM53Vklqqo4S03_zkiGqy_nC0SzXMWB1wDH4QJcWeMHll4`
	goldenActivity = `AkJWSCYtGQaVT3FmY0G3YcrBa9KeDH8x2RQQviNo0i-8FxFWzNN7cMucrHEQAgWb4GuLhrqF5F4-dWQV3UN4_Ng`
	goldenLogin    = `AkJWSCYwInexhFO65qVrUaufo9mNRyruGcw3k7gClUwqxJ4fCsOEim0fTaTFs3UB94rsu_mS7S08yRHg1jU1Y5l5h_vLorHT_tKQWRs271DjHz4p7eLgxjMowk4k6SzzRmH-qp7wD5meylZ8NScz`

	// An earlier release has sealed these, without a binding.
	unboundSession  = `AUJWSCZU6VaiE3MIILgAHcK0Nsoof4xxcminT44M78wIuN883hz90AV1T7mBWXWsIN0a4FCqN9i6n0rMetdL8Odkx5WRgs3xOg1Fghh4ErtFjAXmNjVHSoUXuzCkjVT9GZbdXpzaacZGmZptnVQGIhP6Ano-oeqr0_67uw4GU_HDlZlcx-ShHrBcdE3HEoDJuLLQarZaYx8rinzY1nrwxfwF1vmQ7C4lcaI9ZMVdAV2UcNnukuoeLF0-FJKADnicdeTdC9ZJSMG2d5V4E8v21T94ctQ47JMj8_Lj4tmsn30lvcWmwYbHv2l54Dq18RoeBCq6Q7u9uNBs-JE`
	unboundActivity = `AUJWSCZf0MB2T1sPFOGqvZtizV3893giy1o-XzzIxebW2zaabGO1Zdu2zVdR3aDW4or6lkZ_wypdolf90V7_7dg`
	unboundLogin    = `AUJWSCaq_y3Jc7Qy2BdOSoue_rwjTgBZbAt3F8TcStkZ-A8hjClYP3aWoxucIQ7McdxaAShFIfIhYD-tsC9G2rLVrzhjXmLFX_JdUNGzhJM_F1HywM99G-s6Y_R0_hD8tcwk1hH7bBCLBCf3Y1jJ`
	// This one, too. Its tokens name neither issuer nor client.
	anonymousSession = `AUJWSCY4zMo_vl4tKahBS17J7oQWQPUSOVFvFLOxoMPtd6xFkAxYrEijB1d8EkLO6r0s8F1lkcpRSp3De3iLXtOL-rRTM2ZqYAvf95KEgm4G_3uvyd4LxqbJyZ0ZSaGTNwZMKpqRoflMZ-Lc0aVabxiYpf-z5cgwvABVW3AhN6tVL6WRNaZypIaN5uikcvg1pJT-HRoEsWttR4xRjG3rDSqn--ziU-L38aRYgJ_pn735_tFnOvGjftgOfQQSpUvSpMaFtqnthYP2WfbXaIRE_i49fSEG-fF3-GhVL_ekROLfHUCoMmpxbmKLyg`
)

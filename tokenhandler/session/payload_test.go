package session_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/securecookie"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// TestCognitoSessionIsOneSmallCookie: a session with tokens of the sizes that Cognito
// makes, the ID token included, takes one cookie of at most 3,000 bytes.
func TestCognitoSessionIsOneSmallCookie(t *testing.T) {
	f := newFixture(t, func(c *session.Config) { c.KeepIDToken = true })
	largest := 0
	for seed := range uint64(20) {
		want := tokens(seed, f.now)
		total := len(want.Access.Reveal()) + len(want.ID.Reveal()) + len(want.Refresh.Reveal())
		if total < 4200 || total > 4350 {
			t.Fatalf("the sample tokens have %d bytes, want about 4,272", total)
		}
		j := f.login(t, want)
		if len(j) != 2 {
			t.Fatalf("seed %d: %d cookies, want the session and the activity", seed, len(j))
		}
		largest = max(largest, len(sessionCookie)+len(j[sessionCookie]))
		if field := sameTokens(allTokens(t, f.mustOpen(t, j)), want); field != "" {
			t.Errorf("seed %d: %s came back changed", seed, field)
		}
	}
	t.Logf("largest of 20: %d bytes", largest)
	if largest > 3000 {
		t.Errorf("the cookie has %d bytes with its name, at most 3,000", largest)
	}
}

// codecOf is the codec of the session cookie.
func codecOf(f *fixture) seal.Codec {
	return seal.Codec{Keys: f.keys, MaxLength: 1 << 16, Binding: seal.Bind(goldenIssuer, goldenClient)}
}

// TestEveryKindOfTokenComesBack: a token that cannot be taken apart and put together
// to the same bytes is stored as it came.
func TestEveryKindOfTokenComesBack(t *testing.T) {
	f := newFixture(t, func(c *session.Config) { c.KeepIDToken = true })
	b64 := base64.RawURLEncoding.EncodeToString
	sample := tokens(3, f.now)
	for name, token := range map[string]string{
		"none":                       "",
		"opaque":                     "an opaque access token",
		"one dot":                    "a.b",
		"three parts, not base64url": "a+b.c/d.e=f",
		"three empty parts":          "..",
		"five empty parts":           "....",
		"JWS":                        sample.Access.Reveal(),
		"JWE":                        sample.Refresh.Reveal(),
		"last bits not zero":         b64([]byte(`{"alg":"x"}`)) + "." + b64([]byte("{}")) + ".QR",
		"line break inside":          b64([]byte(`{"alg":"x"}`)) + "\n." + b64([]byte("{}")) + ".QQ",
		"binary":                     string([]byte{0, 1, 2, 255, '.', 0, '.', 1}),
		"payload is not text":        b64(bytes.Repeat([]byte{0xff, 0}, 50)) + "." + b64([]byte{1}) + "." + b64([]byte{2}),
		"long":                       strings.Repeat("x", 9000),
		"an escape, then a UUID":     "\x03\x02\x01" + sampleUUID,
		"almost UUIDs":               strings.Join(almostUUIDs(), "|"),
	} {
		want := sample
		want.Access, want.ID, want.Refresh = secret.New(token), secret.New(token), secret.New(token)
		want.Claims = `{"text":"` + strings.Join(almostUUIDs(), "|") + `"}`
		j := f.login(t, want)
		if field := sameTokens(allTokens(t, f.mustOpen(t, j)), want); field != "" {
			t.Errorf("%s: %s came back changed", name, field)
		}
	}
}

const sampleUUID = "0a1b2c3d-4e5f-4677-8899-aabbccddeeff"

// almostUUIDs are texts that differ from a UUID in canonical form in one character. One
// of them that is taken for a UUID comes back changed.
func almostUUIDs() []string {
	almost := []string{sampleUUID[:35], strings.ToUpper(sampleUUID)}
	for i, other := range map[int]string{2: "/:@`gAF-", 8: "a", 13: "a", 18: "a", 23: "a"} {
		for _, char := range other {
			almost = append(almost, sampleUUID[:i]+string(char)+sampleUUID[i+1:])
		}
	}
	return almost
}

func TestDroppedIDTokenLeavesItsClaims(t *testing.T) {
	f := newFixture(t)
	want := tokens(1, f.now)
	s := f.mustOpen(t, f.login(t, want))
	got := allTokens(t, s)
	if !got.ID.IsZero() || got.Claims != want.Claims {
		t.Errorf("ID token kept: %v; claims %q", !got.ID.IsZero(), got.Claims)
	}
}

// TestTooLargeSessionIsRefusedWithNumbers: a browser ignores too large a cookie
// without a word, so the login has to fail with an error that names the sizes.
func TestTooLargeSessionIsRefusedWithNumbers(t *testing.T) {
	f := newFixture(t)
	random := make([]byte, 9000)
	for i := range random {
		random[i] = byte(i*i*31 + i>>3)
	}
	want := tokens(1, f.now)
	want.Refresh = secret.New(base64.StdEncoding.EncodeToString(random))
	h := make(http.Header)
	err := f.begin(h, want)
	tooLarge, ok := err.(*session.TooLargeError) //nolint:errorlint // exactly this
	if !ok {
		t.Fatalf("got %v", err)
	}
	if tooLarge.Bytes <= session.Budget || tooLarge.Refresh != 12000 || tooLarge.Budget != 7500 {
		t.Errorf("%+v", tooLarge)
	}
	if len(h) != 0 {
		t.Errorf("cookies were written nevertheless: %v", h)
	}
}

// TestSessionBeyondAllLimitsIsTooLarge: the error is the same for a session whose parts
// are within their limits, but which is larger than any sealed value may be.
func TestSessionBeyondAllLimitsIsTooLarge(t *testing.T) {
	f := newFixture(t)
	noise := func(n int) string {
		raw := make([]byte, n)
		_, _ = rand.Read(raw) // never fails
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	const each = 30 << 10
	want := tokens(1, f.now)
	// Of a JWE the first part is text, and the others are not compressed.
	want.Refresh = secret.New(noise(8) + "." + noise(8) + "." + noise(8) + "." + noise(each) + "." + noise(8))
	want.Claims = `{"noise":"` + noise(each*3/4-1<<10) + `"}`
	err := f.begin(make(http.Header), want)
	if large, ok := errors.AsType[*session.TooLargeError](err); !ok || large.Bytes <= session.Budget {
		t.Errorf("got %v", err)
	}
}

// TestSessionThatCouldNotBeOpenedIsNotSealed: the raw part of a token is limited when a
// session is opened, so such a session is too large for the shared store, too.
func TestSessionThatCouldNotBeOpenedIsNotSealed(t *testing.T) {
	f := newFixture(t)
	b64 := base64.RawURLEncoding.EncodeToString
	for size, want := range map[int]bool{32<<10 - 5: true, 32<<10 - 4: false} { // the other parts have five
		one := tokens(1, f.now)
		one.Access, one.Refresh = secret.New("opaque"), secret.New(b64([]byte("{}"))+".AA.AA."+b64(make([]byte, size))+".AAAA")
		sealed, err := f.Codec().Encode("shared", f.Begin(one, f.now))
		if _, large := errors.AsType[*session.TooLargeError](err); large == want || (err == nil) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
		if want {
			if err := f.Codec().Decode("shared", sealed, &session.Session{}); err != nil {
				t.Errorf("%d bytes: sealed, and not opened: %v", size, err)
			}
		}
	}
}

// TestCodecTakesOnlySessions: anything else is an error of the caller.
func TestCodecTakesOnlySessions(t *testing.T) {
	f := newFixture(t)
	sealed := mustSeal(t, f, "shared")
	for _, other := range []any{nil, 1, "session", []byte("session"), session.Session{}} {
		if value, err := f.Codec().Encode("shared", other); err == nil {
			t.Errorf("%T sealed to %q", other, value)
		}
		if err := f.Codec().Decode("shared", sealed, other); err == nil {
			t.Errorf("decoded into a %T", other)
		}
	}
}

// TestNearlyTooLargeSessionIsWarnedOf: a session that takes more than 90 % of the budget is
// written, and the operator is told of it once.
func TestNearlyTooLargeSessionIsWarnedOf(t *testing.T) {
	var near, far, over int
	for size := 0; size < 9000; size += 250 {
		log, metrics := &testkit.Log{}, session.NewMetrics(nil)
		f := newFixture(t, func(c *session.Config) { c.Log, c.Metrics = log.Logger(), metrics })
		random := make([]byte, size)
		_, _ = rand.Read(random) // never fails
		want := tokens(1, f.now)
		want.Claims = `{"noise":"` + base64.RawURLEncoding.EncodeToString(random) + `"}`
		h := make(http.Header)
		err := f.begin(h, want)
		warnings := log.RecordsOf(t, "session takes more than 90 % of the cookie budget")
		if counted := testutil.ToFloat64(metrics.NearlyTooLarge); counted != float64(len(warnings)) {
			t.Errorf("%v counted, %d logged", counted, len(warnings))
		}
		j, got := jar{}, 0
		j.take(t, h)
		for name, value := range j {
			got += len(name) + len("=; ") + len(value)
		}
		isNear := got > session.Budget*9/10
		switch {
		case err != nil:
			over++
		case isNear:
			near++
		default:
			far++
		}
		if (len(warnings) == 1) != isNear || len(warnings) > 1 {
			t.Errorf("%d bytes: warnings %v", got, warnings)
		}
		if isNear && len(warnings) == 1 && (warnings[0]["bytes"] != float64(got) || warnings[0]["level"] != "WARN" || warnings[0]["sub"] != want.Subject) {
			t.Errorf("%d bytes: %v", got, warnings[0])
		}
	}
	if near == 0 || far == 0 || over == 0 {
		t.Errorf("%d near, %d far, %d over", near, far, over)
	}
}

func BenchmarkOpen(b *testing.B) {
	f := newFixture(b, func(c *session.Config) { c.KeepIDToken = true })
	// A Store remembers what it opened lately: the sessions of one browser, but not of this many.
	for name, browsers := range map[string]int{"one": 1, "many": 600} {
		b.Run(name, func(b *testing.B) {
			requests := make([]*http.Request, browsers)
			for i := range requests {
				requests[i] = with(f.login(b, tokens(1, f.now)))
			}
			b.ReportMetric(float64(len(requests[0].Header.Get("Cookie"))), "cookie-bytes")
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := f.New(requests[i%browsers], sessionCookie); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("gorilla", func(b *testing.B) {
		codec := securecookie.New(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)).MaxLength(1 << 20)
		value, err := codec.Encode(sessionCookie, gorillaValues(f))
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(value)+len(sessionCookie)+1), "cookie-bytes")
		b.ReportAllocs()
		for b.Loop() {
			out := map[string]string{}
			if err := codec.Decode(sessionCookie, value, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func gorillaValues(f *fixture) map[string]string {
	t := tokens(1, f.now)
	return map[string]string{"access": t.Access.Reveal(), "id": t.ID.Reveal(), "refresh": t.Refresh.Reveal()}
}

func BenchmarkSeal(b *testing.B) {
	f := newFixture(b, func(c *session.Config) { c.KeepIDToken = true })
	sample := tokens(1, f.now)
	b.ReportAllocs()
	for b.Loop() {
		if err := f.begin(make(http.Header), sample); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzDecode: whatever a payload holds, decoding it does not panic, and what
// decodes encodes to something that decodes to the same.
func FuzzDecode(f *testing.F) {
	fix := newFixture(f)
	for seed := range uint64(3) {
		value, err := fix.Codec().Encode(sessionCookie, fix.Begin(tokens(seed, fix.now), fix.now))
		if err != nil {
			f.Fatal(err)
		}
		var payload []byte
		if err := codecOf(fix).Decode(sessionCookie, value, &payload); err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	atOnce, later := faultyDrafts()
	for _, faults := range []map[string]func(*draft){atOnce, later} {
		for _, spoil := range faults {
			d := newDraft()
			spoil(d)
			payload, header := d.payload()
			f.Add(payload)
			f.Add(payload[:header/2])
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		sealed, err := codecOf(fix).Encode(sessionCookie, payload)
		if err != nil {
			return
		}
		var s, again session.Session
		if fix.Codec().Decode(sessionCookie, sealed, &s) != nil {
			if opened, _ := fix.open(jar{sessionCookie: "1" + sealed}.header()); opened != nil {
				_, _ = opened.Tokens() // its first part is good, the rest is not
			}
			return
		}
		value, err := fix.Codec().Encode(sessionCookie, &s)
		if err != nil {
			t.Fatal(err)
		}
		if err := fix.Codec().Decode(sessionCookie, value, &again); err != nil {
			t.Fatalf("encoded again it does not decode: %v", err)
		}
		if field := sameTokens(allTokens(t, &s), allTokens(t, &again)); field != "" || s.ID != again.ID || s.Generation != again.Generation {
			t.Errorf("%s changed on the way", field)
		}
	})
}

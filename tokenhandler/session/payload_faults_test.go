package session_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// draft is a payload of a session cookie before it is written. A test changes one thing
// in it.
type draft struct {
	version byte
	// shapes are those of the access, the ID and the refresh token.
	shapes [3][]byte
	// lengths are those of subject, sid and claims, of the packed text that opening needs
	// and of all, and the numbers of UUIDs in both.
	lengths [7]uint64
	// raw are the raw parts of the tokens, and the UUIDs.
	raw    []byte
	packed string
}

const (
	draftSubject = "ada"
	draftToken   = "token"
	draftClaims  = `{}`
)

// newDraft returns a draft of a good session: an opaque access token, no other token.
func newDraft() *draft {
	hot := uint64(len(draftSubject + draftToken))
	return &draft{
		version: 2,
		shapes:  [3][]byte{text(len(draftToken)), {0}, {0}},
		lengths: [7]uint64{uint64(len(draftSubject)), 0, uint64(len(draftClaims)), hot, hot + uint64(len(draftClaims)), 0, 0},
		packed:  draftSubject + draftToken + draftClaims,
	}
}

// text is the shape of an opaque token of n bytes, jws that of a token of three parts.
func text(n int) []byte { return binary.AppendUvarint([]byte{1}, uint64(n)) }

func jws(header, payload, signature uint64) []byte {
	out := []byte{2}
	for _, n := range []uint64{header, payload, signature} {
		out = binary.AppendUvarint(out, n)
	}
	return out
}

// payload writes the draft. header is the number of bytes before the compressed text.
func (d *draft) payload() (payload []byte, header int) {
	out := append([]byte{d.version}, make([]byte, 16+4+1)...) // id, nonce and flags
	out = binary.AppendUvarint(out, 1)                        // generation
	out = binary.AppendVarint(out, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli())
	for _, seconds := range []int64{43201, 1, 1, 3601, 0, 1} {
		out = binary.AppendVarint(out, seconds)
	}
	for _, shape := range d.shapes {
		out = append(out, shape...)
	}
	for _, n := range d.lengths {
		out = binary.AppendUvarint(out, n)
	}
	out = append(out, d.raw...)
	var compressed bytes.Buffer
	w, _ := flate.NewWriter(&compressed, flate.NoCompression)
	_, _ = w.Write([]byte(d.packed))
	_ = w.Close()
	return append(out, compressed.Bytes()...), len(out)
}

// sealed seals a payload as a session cookie.
func (f *fixture) sealed(tb testing.TB, payload []byte) string {
	tb.Helper()
	sealed, err := codecOf(f).Encode(sessionCookie, payload)
	if err != nil {
		tb.Fatal(err)
	}
	return sealed
}

// setText makes s the text of the draft that is no token: the subject and the claims.
func (d *draft) setText(subject, claims string) {
	d.shapes[0] = []byte{0}
	d.packed = subject + claims
	d.lengths = [7]uint64{uint64(len(subject)), 0, uint64(len(claims)), uint64(len(subject)), uint64(len(subject + claims)), 0, 0}
}

const draftUUID = "0123456789abcdef" // raw

// faultyDrafts are drafts with one fault each. Those of the first kind are seen when a
// request opens the session, those of the second only when all tokens are needed.
func faultyDrafts() (atOnce, later map[string]func(d *draft)) {
	const many = 500
	uuids := strings.Repeat("\x02 ", many) // each takes 36 bytes of text
	atOnce = map[string]func(d *draft){
		"an earlier version":           func(d *draft) { d.version = 1 },
		"a later version":              func(d *draft) { d.version = 3 },
		"an unknown shape":             func(d *draft) { d.setText("ada", "{}"); d.shapes[0] = []byte{4} },
		"an unknown shape of a second": func(d *draft) { d.shapes[1] = []byte{255} },
		"the first text is longer than all": func(d *draft) {
			d.lengths[4] = d.lengths[3] - 1
		},
		"more UUIDs in the first text than in all": func(d *draft) {
			d.setText("ada\x01", strings.Repeat(" ", 40)+"{}")
			d.lengths[0], d.lengths[5] = 3+36, 1
		},
		"a length that overflows":     func(d *draft) { d.shapes[0] = append([]byte{1}, bytes.Repeat([]byte{0xff}, 10)...) },
		"more raw bytes than there":   func(d *draft) { d.shapes[1] = jws(0, 0, 1000) },
		"more UUIDs than there":       func(d *draft) { d.lengths[6] = 100 },
		"a text longer than written":  func(d *draft) { d.lengths[3], d.lengths[4], d.lengths[0] = 500, 600, 600 },
		"a subject that is too long":  func(d *draft) { d.lengths[0]++ },
		"a subject that is too short": func(d *draft) { d.lengths[0]-- },
		"a UUID that is missing":      func(d *draft) { d.packed = "a\x01a" + d.packed[3:]; d.lengths[0] = 38 },
		"a UUID before the first": func(d *draft) {
			d.packed, d.raw = "\x02\x1f"+d.packed[2:], []byte(draftUUID)
			d.lengths[0], d.lengths[5], d.lengths[6] = 37, 1, 1
		},
		"a UUID after the last": func(d *draft) {
			d.setText("\x01\x02!", "{}")
			d.raw, d.lengths[0], d.lengths[5], d.lengths[6] = []byte(draftUUID), 2*36, 1, 1
		},
		"a UUID that nothing uses":   func(d *draft) { d.raw = []byte(draftUUID); d.lengths[5], d.lengths[6] = 1, 1 },
		"an escape without its byte": func(d *draft) { d.setText("ad\x03", "{}"); d.lengths[0] = 2 },
		"a packed text longer than the text": func(d *draft) {
			d.setText("\x03a", "")
			d.lengths[0] = 1
		},
		"a text over the limit": func(d *draft) {
			d.setText("\x01"+uuids[2:], `{"a":"`+uuids+`"}`)
			d.raw, d.lengths[0], d.lengths[2], d.lengths[5], d.lengths[6] = []byte(draftUUID), many*36, many*36+8, 1, 1
		},
		"a part over the limit": func(d *draft) {
			d.shapes[1], d.raw = jws(0, 0, 33<<10), make([]byte, 33<<10)
		},
	}
	later = map[string]func(d *draft){
		"claims that are no JSON":      func(d *draft) { d.packed = strings.Replace(d.packed, "{}", "{x", 1) },
		"claims that are a list":       func(d *draft) { d.packed = strings.Replace(d.packed, "{}", "[]", 1) },
		"claims that are two values":   func(d *draft) { d.setText("ada", `{},"groups":{}`) },
		"claims longer than the text":  func(d *draft) { d.lengths[2]++ },
		"claims shorter than the text": func(d *draft) { d.lengths[2]-- },
		"a UUID that nothing uses":     func(d *draft) { d.raw = []byte(draftUUID); d.lengths[6] = 1 },
		"the text ends early":          func(d *draft) { d.packed = d.packed[:len(d.packed)-1] },
	}
	return atOnce, later
}

func TestDraftsOfPayloadsOpen(t *testing.T) {
	f := newFixture(t)
	payload, _ := newDraft().payload()
	s := f.mustOpen(t, jar{sessionCookie: "1" + f.sealed(t, payload)})
	if all := allTokens(t, s); all.Subject != draftSubject || all.Access.Reveal() != draftToken || all.Claims != draftClaims {
		t.Errorf("opened %+v", all)
	}
}

// TestFaultyPayloadsDoNotOpen: who knows a key could seal anything, and so could an
// earlier or later release. Each fault of a payload is one of the session.
func TestFaultyPayloadsDoNotOpen(t *testing.T) {
	f := newFixture(t)
	atOnce, later := faultyDrafts()
	for i, faults := range []map[string]func(*draft){atOnce, later} {
		for name, spoil := range faults {
			d := newDraft()
			spoil(d)
			payload, _ := d.payload()
			sealed := f.sealed(t, payload)
			if err := f.Codec().Decode(sessionCookie, sealed, &session.Session{}); !errors.Is(err, session.ErrUnreadable) {
				t.Errorf("%s: decoded, %v", name, err)
			}
			if len(sealed) > 3800 {
				continue // no cookie is as long
			}
			s, err := f.open(jar{sessionCookie: "1" + sealed}.header())
			if i == 0 && (!errors.Is(err, session.ErrUnreadable) || strings.Count(err.Error(), session.ErrUnreadable.Error()) != 1) {
				t.Errorf("%s: opened %v, %v", name, s, err)
			}
			if s == nil {
				continue
			}
			if _, err := s.Tokens(); !errors.Is(err, session.ErrUnreadable) {
				t.Errorf("%s: its tokens were read, %v", name, err)
			}
		}
	}
}

// TestPayloadsThatEndEarlyDoNotOpen cuts a payload at every place before its text.
func TestPayloadsThatEndEarlyDoNotOpen(t *testing.T) {
	f := newFixture(t)
	payload, header := newDraft().payload()
	for n := range header + 1 {
		if s, err := f.open(jar{sessionCookie: "1" + f.sealed(t, payload[:n])}.header()); !errors.Is(err, session.ErrUnreadable) {
			t.Errorf("%d bytes: opened %v, %v", n, s, err)
		}
	}
}

// TestActivityOfAnotherLengthIsNone: such an activity cookie says nothing, and the session
// counts as active when its own cookie was written.
func TestActivityOfAnotherLengthIsNone(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	for _, n := range []int{0, 16, 31, 33, 39, 41, 100} {
		value, err := codecOf(f).Encode(activeCookie, bytes.Repeat([]byte{1}, n))
		if err != nil {
			t.Fatal(err)
		}
		j[activeCookie] = value
		for later, want := range map[time.Duration]error{time.Hour - 1: nil, time.Hour: session.ErrIdle} {
			at := newFixture(t, func(c *session.Config) { c.Now = func() time.Time { return f.now.Add(later) } })
			if _, err := at.open(j.header()); !errors.Is(err, want) {
				t.Errorf("%d bytes, after %s: %v, want %v", n, later, err, want)
			}
		}
	}
}

// TestActivityThatIsNotBelieved: the activity of another session, or one in the future,
// does not prolong a session.
func TestActivityThatIsNotBelieved(t *testing.T) {
	f := newFixture(t)
	mine := f.login(t, tokens(1, f.now))
	later := newFixture(t, func(c *session.Config) { c.Now = func() time.Time { return f.now.Add(50 * time.Minute) } })
	other := later.login(t, tokens(2, f.now))
	borrowed := jar{sessionCookie: mine[sessionCookie], activeCookie: other[activeCookie]}
	over := newFixture(t, func(c *session.Config) { c.Now = func() time.Time { return f.now.Add(time.Hour) } })
	if _, err := over.open(borrowed.header()); !errors.Is(err, session.ErrIdle) {
		t.Errorf("with the activity of another session: %v", err)
	}
	gs, err := later.New(with(mine), sessionCookie)
	if err != nil {
		t.Fatal(err)
	}
	activity, _ := gs.Values[session.ActivityKey].(*session.Activity)
	activity.Active = f.now.Add(50 * time.Minute)
	w := httptest.NewRecorder()
	if err := gs.Save(with(mine), w); err != nil {
		t.Fatal(err)
	}
	mine.take(t, w.Header())
	gs, err = f.New(with(mine), sessionCookie) // of a replica whose clock is behind
	if err != nil {
		t.Fatal(err)
	}
	if activity, _ = gs.Values[session.ActivityKey].(*session.Activity); !activity.Active.Equal(f.now) {
		t.Errorf("active at %v, in the future", activity.Active)
	}
}

// TestShortenedLifetimeHoldsForExistingSessions at the very second.
func TestShortenedLifetimeHoldsForExistingSessions(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	for later, want := range map[time.Duration]error{time.Minute - 1: nil, time.Minute: session.ErrExpired} {
		at := newFixture(t, func(c *session.Config) {
			c.AbsoluteLifetime, c.Now = time.Minute, func() time.Time { return f.now.Add(later) }
		})
		if s, err := at.open(j.header()); !errors.Is(err, want) || err == nil && !s.Expires.Equal(f.now.Add(time.Minute)) {
			t.Errorf("after %s: %v, want %v", later, err, want)
		}
	}
}

// TestPersistentCookieOfTheLastSecond: Max-Age 0 would make it a cookie that ends with the
// browser.
func TestPersistentCookieOfTheLastSecond(t *testing.T) {
	for _, left := range []time.Duration{time.Nanosecond, time.Second - 1, time.Second} {
		f := newFixture(t, func(c *session.Config) { c.Persistent, c.AbsoluteLifetime = true, left })
		h := make(http.Header)
		if err := f.begin(h, tokens(1, f.now)); err != nil {
			t.Fatal(err)
		}
		for _, line := range h["Set-Cookie"] {
			if !strings.Contains(line, "Max-Age=1;") && !strings.Contains(line, "Max-Age=0;") {
				t.Errorf("%s left: %s", left, line)
			}
		}
		if !strings.Contains(fmt.Sprint(h["Set-Cookie"]), sessionCookie+"=1") || !strings.Contains(fmt.Sprint(h["Set-Cookie"]), "Max-Age=1;") {
			t.Errorf("%s left: %s", left, h["Set-Cookie"])
		}
	}
}

// TestPersistentCookieKeepsTheMaxAgeOfItsCaller: gorilla lets a caller say how long a cookie
// lives.
func TestPersistentCookieKeepsTheMaxAgeOfItsCaller(t *testing.T) {
	f := newFixture(t, func(c *session.Config) { c.Persistent = true })
	gs, err := f.New(with(nil), sessionCookie)
	if err != nil {
		t.Fatal(err)
	}
	gs.Values[session.Key], gs.Options.MaxAge = f.Begin(tokens(1, f.now), f.now), 60
	w := httptest.NewRecorder()
	if err := gs.Save(with(nil), w); err != nil {
		t.Fatal(err)
	}
	if lines := w.Header()["Set-Cookie"]; strings.Count(fmt.Sprint(lines), "Max-Age=60;") != 2 {
		t.Errorf("%q", lines)
	}
}

// TestNextTakesTheNewEndOfTheRefreshToken, and keeps the old one if the answer has none.
func TestNextTakesTheNewEndOfTheRefreshToken(t *testing.T) {
	f := newFixture(t)
	first := tokens(1, f.now)
	first.RefreshExpires = f.now.Add(2 * time.Hour)
	s := f.Begin(first, f.now)
	for renewed, want := range map[time.Duration]time.Duration{0: 2 * time.Hour, time.Hour: time.Hour, 3 * time.Hour: 3 * time.Hour} {
		answer := secret.Tokens{Access: secret.New("renewed"), AccessExpires: f.now.Add(time.Hour)}
		if renewed != 0 {
			answer.RefreshExpires = f.now.Add(renewed)
		}
		if next := f.Next(s, first, answer, 2, f.now); !next.Ends().Equal(f.now.Add(want)) {
			t.Errorf("an answer with %s: ends at %v", renewed, next.Ends())
		}
	}
}

// TestNextGenerationSurvivesItsCookie: a cookie tells whether its generation rotated the
// refresh token, and whether it has only that.
func TestNextGenerationSurvivesItsCookie(t *testing.T) {
	f := newFixture(t)
	first := tokens(1, f.now)
	for name, c := range map[string]struct {
		answer           secret.Tokens
		rotates, partial bool
	}{
		"rotated":        {secret.Tokens{Access: secret.New("renewed"), Refresh: secret.New("next"), AccessExpires: f.now.Add(time.Hour)}, true, false},
		"the same again": {secret.Tokens{Access: secret.New("renewed"), Refresh: first.Refresh, AccessExpires: f.now.Add(time.Hour)}, false, false},
		"not verified":   {secret.Tokens{Refresh: secret.New("next")}, true, true},
	} {
		value, err := f.Codec().Encode(sessionCookie, f.Next(f.Begin(first, f.now), first, c.answer, 2, f.now))
		if err != nil {
			t.Fatal(err)
		}
		if s := f.mustOpen(t, jar{sessionCookie: "1" + value}); s.Rotates != c.rotates || s.Partial != c.partial || s.Generation != 2 {
			t.Errorf("%s: rotates %v, partial %v, generation %d", name, s.Rotates, s.Partial, s.Generation)
		}
	}
}

package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"cognito-token-handler/tokenhandler/seal"
)

func key(fill byte) []byte { return bytes.Repeat([]byte{fill}, seal.KeySize) }

func ring(tb testing.TB, fills ...byte) *seal.Keyring {
	tb.Helper()
	var keys [][]byte
	for _, fill := range fills {
		keys = append(keys, key(fill))
	}
	k, err := seal.NewKeyring(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// sealed is plain, sealed for the cookie called name.
func sealed(tb testing.TB, k *seal.Keyring, name, plain string) string {
	tb.Helper()
	value, err := seal.Codec{Keys: k, MaxLength: 1 << 16}.Encode(name, []byte(plain))
	if err != nil {
		tb.Fatal(err)
	}
	return value
}

// open opens a value and returns the id of the key that did.
func open(k *seal.Keyring, name string, parts ...string) (plain []byte, id seal.KeyID, err error) {
	id, err = seal.Codec{Keys: k, MaxLength: 1 << 16}.DecodeParts(name, &plain, parts...)
	return plain, id, err
}

func TestSealedValueOpens(t *testing.T) {
	k := ring(t, 1)
	for _, plain := range []string{"", "x", strings.Repeat("token ", 1000)} {
		value := sealed(t, k, "session", plain)
		if len(value) != seal.EncodedLen(len(plain)) {
			t.Errorf("%d bytes sealed to %d characters, EncodedLen is %d", len(plain), len(value), seal.EncodedLen(len(plain)))
		}
		got, id, err := open(k, "session", value)
		if err != nil || string(got) != plain || id != k.IDs()[0] {
			t.Errorf("opened %q by key %v, err %v", got, id, err)
		}
		got, _, err = open(k, "session", value[:8], value[8:20], value[20:])
		if err != nil || string(got) != plain {
			t.Errorf("in three parts: %q, %v", got, err)
		}
	}
	if first, second := sealed(t, k, "n", "x"), sealed(t, k, "n", "x"); first == second {
		t.Error("one plaintext sealed twice gave the same value: the nonce repeats")
	}
}

func TestSealedValueIsRefused(t *testing.T) {
	k := ring(t, 1)
	value := sealed(t, k, "session", "the payload of a session")
	change := func(i int, to func(byte) byte) string {
		raw, err := base64.RawURLEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		i = (i + len(raw)) % len(raw)
		raw[i] = to(raw[i])
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	flip := func(i int) string { return change(i, func(b byte) byte { return b ^ 1 }) }
	version := func(v byte) string { return change(0, func(byte) byte { return v }) }
	for _, tail := range []string{"!", "A", "\n", strings.Repeat("A", 1<<16)} {
		if got, _, err := open(k, "session", value, tail); !errors.Is(err, seal.ErrMalformed) || got != nil {
			t.Errorf("a good first part, and %.4q: %q, %v", tail, got, err)
		}
	}
	for _, c := range []struct {
		name, cookie, value string
		want                error
	}{
		{"empty", "session", "", seal.ErrMalformed},
		{"not base64url", "session", "+/+/" + value, seal.ErrMalformed},
		{"padded", "session", value + "==", seal.ErrMalformed},
		{"line break that base64 skips", "session", value[:8] + "\r\n" + value[8:], seal.ErrMalformed},
		{"line break at the end", "session", value + "\n", seal.ErrMalformed},
		{"shorter than the overhead", "session", value[:40], seal.ErrMalformed},
		{"version 0", "session", version(0), seal.ErrMalformed},
		{"the earlier version", "session", version(1), seal.ErrTampered},
		{"a later version", "session", version(3), seal.ErrUnknownKey},
		{"another key id", "session", flip(1), seal.ErrUnknownKey},
		{"nonce changed", "session", flip(6), seal.ErrTampered},
		{"first byte changed", "session", flip(17), seal.ErrTampered},
		{"last byte of the tag changed", "session", flip(-1), seal.ErrTampered},
		{"cut by four characters", "session", value[:len(value)-4], seal.ErrTampered},
		{"moved to another cookie", "active", value, seal.ErrTampered},
		{"sealed by a foreign key", "session", sealed(t, ring(t, 9), "session", "x"), seal.ErrUnknownKey},
	} {
		if got, _, err := open(k, c.cookie, c.value); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %q, %v, want %v", c.name, got, err, c.want)
		}
	}
}

func TestKeysRotateWithoutLosingValues(t *testing.T) {
	k := ring(t, 1)
	old := sealed(t, k, "session", "old")
	oldID := k.IDs()[0]

	if err := k.Replace([][]byte{key(2), key(1)}); err != nil {
		t.Fatal(err)
	}
	if got, id, err := open(k, "session", old); err != nil || string(got) != "old" || id != oldID {
		t.Errorf("after rotation: %q by %v, %v", got, id, err)
	}
	if _, id, err := open(k, "session", sealed(t, k, "session", "")); err != nil || id == oldID {
		t.Errorf("new values are sealed by %v, %v: want the new first key", id, err)
	}
	if err := k.Replace([][]byte{key(2)}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(k, "session", old); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("after the old key was removed: %v", err)
	}
}

func TestBadKeysAreRefusedAndTheOldOnesStay(t *testing.T) {
	k := ring(t, 1)
	value := sealed(t, k, "n", "x")
	tooMany := make([][]byte, seal.MaxKeys+1)
	for i := range tooMany {
		tooMany[i] = key(byte(i))
	}
	for name, keys := range map[string][][]byte{
		"none":     nil,
		"empty":    {{}},
		"AES-128":  {key(3)[:16]},
		"AES-192":  {key(3)[:24]},
		"short":    {key(3)[:31]},
		"long":     {append(key(3), 0)},
		"repeated": {key(3), key(4), key(3)},
		"too many": tooMany,
	} {
		if err := k.Replace(keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if made, err := seal.NewKeyring(keys); err == nil || made != nil {
			t.Errorf("%s: a keyring was made", name)
		}
		if _, _, err := open(k, "n", value); err != nil {
			t.Errorf("%s: the old keys are gone: %v", name, err)
		}
	}
}

func TestCodec(t *testing.T) {
	codec := seal.Codec{Keys: ring(t, 1), MaxLength: 100}
	value, err := codec.Encode("c", []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	if err := codec.Decode("c", value, &got); err != nil || string(got) != "payload" {
		t.Errorf("decoded %q, %v", got, err)
	}
	if _, err := codec.Encode("c", make([]byte, 100)); err == nil {
		t.Error("a value over MaxLength was encoded")
	}
	for _, parts := range [][]string{{strings.Repeat("A", 101)}, {strings.Repeat("A", 60), strings.Repeat("A", 60)}} {
		if _, err := codec.DecodeParts("c", &got, parts...); !errors.Is(err, seal.ErrMalformed) {
			t.Errorf("%d parts over MaxLength: %v", len(parts), err)
		}
	}
	long := sealed(t, codec.Keys, "c", strings.Repeat("x", 60))
	for limit, want := range map[int]error{len(long): nil, len(long) - 1: seal.ErrMalformed} {
		var opened []byte
		if err := (seal.Codec{Keys: codec.Keys, MaxLength: limit}).Decode("c", long, &opened); !errors.Is(err, want) {
			t.Errorf("a good value of %d characters, at most %d: %v", len(long), limit, err)
		}
	}
	if _, err := codec.Encode("c", 1); err == nil {
		t.Error("an int was encoded")
	}
	if value, err := codec.Encode("c", brokenValue{}); !errors.Is(err, errBroken) || value != "" {
		t.Errorf("a value that has no form was encoded: %q, %v", value, err)
	}
	if err := codec.Decode("c", value, new(string)); err == nil {
		t.Error("decoded into a string")
	}
	if string(got) != "payload" {
		t.Errorf("the decoded value lies in memory that is used again: %q", got)
	}
}

var errBroken = errors.New("broken")

// brokenValue cannot be encoded.
type brokenValue struct{}

func (brokenValue) MarshalBinary() ([]byte, error) { return []byte("half"), errBroken }

func FuzzOpen(f *testing.F) {
	k := ring(f, 1, 2)
	f.Add("session", sealed(f, k, "session", "payload"))
	f.Add("session", "")
	f.Add("", strings.Repeat("A", 60))
	f.Fuzz(func(t *testing.T, name, value string) {
		plain, _, err := open(k, name, value)
		if err != nil && plain != nil {
			t.Error("an error and a plaintext")
		}
		if err == nil && name != "session" {
			t.Errorf("opened as %q", name)
		}
	})
}

// TestUnknownKeyIsLookedFor: a value with an unknown key opens if the key is loaded
// meanwhile. Values with known keys ask for nothing.
func TestUnknownKeyIsLookedFor(t *testing.T) {
	k := ring(t, 1)
	calls, load := 0, []byte{1}
	k.OnUnknownKey(func() {
		calls++
		var keys [][]byte
		for _, fill := range load {
			keys = append(keys, key(fill))
		}
		if err := k.Replace(keys); err != nil {
			t.Error(err)
		}
	})
	other := sealed(t, ring(t, 2), "session", "plain")
	if _, _, err := open(k, "session", other); !errors.Is(err, seal.ErrUnknownKey) || calls != 1 {
		t.Errorf("not loaded: %v after %d calls", err, calls)
	}
	load = []byte{1, 2}
	if plain, _, err := open(k, "session", other); err != nil || string(plain) != "plain" || calls != 2 {
		t.Errorf("loaded: %q, %v after %d calls", plain, err, calls)
	}
	for _, value := range []string{other, sealed(t, ring(t, 1), "session", "x"), "AAAA", ""} {
		_, _, _ = open(k, "session", value)
	}
	if calls != 2 {
		t.Errorf("%d calls, want 2: values with known keys and malformed ones ask, too", calls)
	}
}

// TestValueOpensOnlyWithItsBinding: two services may have the same key by mistake.
func TestValueOpensOnlyWithItsBinding(t *testing.T) {
	k := ring(t, 1)
	bindings := map[string]seal.Binding{
		"nothing": {}, "no text": seal.Bind(), "ab": seal.Bind("ab"), "a, b": seal.Bind("a", "b"), "b, a": seal.Bind("b", "a"), "a, b, nothing": seal.Bind("a", "b", ""),
	}
	for own, binding := range bindings {
		value, err := seal.Codec{Keys: k, MaxLength: 1 << 10, Binding: binding}.Encode("session", []byte("plain"))
		if err != nil {
			t.Fatal(err)
		}
		for other, binding := range bindings {
			var plain []byte
			codec := seal.Codec{Keys: k, MaxLength: 1 << 10, Binding: binding, Unbound: func([]byte) bool { return true }}
			err := codec.Decode("session", value, &plain)
			if other == own && (err != nil || string(plain) != "plain") || other != own && !errors.Is(err, seal.ErrTampered) {
				t.Errorf("bound to %q, opened for %q: %q, %v", own, other, plain, err)
			}
		}
	}
}

// TestUnboundValueNeedsConsent: an earlier release sealed values without a binding. This
// one holds "plain" and was sealed by such a release.
func TestUnboundValueNeedsConsent(t *testing.T) {
	const value = "AVtq5EEBAgMEBQYHCAkKCwyXiinwMmC-aBKg9btAb_ptR8FyLH4"
	for name, c := range map[string]struct {
		accept func([]byte) bool
		want   error
	}{
		"nobody asked": {nil, seal.ErrTampered},
		"refused":      {func([]byte) bool { return false }, seal.ErrTampered},
		"accepted":     {func(plain []byte) bool { return string(plain) == "plain" }, nil},
	} {
		var plain []byte
		codec := seal.Codec{Keys: ring(t, 1), MaxLength: 1 << 10, Binding: seal.Bind("a"), Unbound: c.accept}
		if err := codec.Decode("session", value, &plain); !errors.Is(err, c.want) || (string(plain) == "plain") != (c.want == nil) {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

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

func open(k *seal.Keyring, name, value string) ([]byte, seal.KeyID, error) {
	raw, err := seal.AppendDecode(nil, value)
	if err != nil {
		return nil, seal.KeyID{}, err
	}
	return k.Open(name, raw)
}

func TestSealedValueOpens(t *testing.T) {
	k := ring(t, 1)
	for _, plain := range []string{"", "x", strings.Repeat("token ", 1000)} {
		sealed := string(k.Seal(nil, "session", []byte(plain)))
		if len(sealed) != seal.EncodedLen(len(plain)) {
			t.Errorf("%d bytes sealed to %d characters, EncodedLen says %d", len(plain), len(sealed), seal.EncodedLen(len(plain)))
		}
		got, id, err := open(k, "session", sealed)
		if err != nil || string(got) != plain || id != k.IDs()[0] {
			t.Errorf("opened %q by key %v, err %v", got, id, err)
		}
	}
	if a, b := k.Seal(nil, "n", []byte("x")), k.Seal(nil, "n", []byte("x")); bytes.Equal(a, b) {
		t.Error("two seals of one value are equal: the nonce repeats")
	}
}

func TestSealedValueIsRefused(t *testing.T) {
	k := ring(t, 1)
	sealed := string(k.Seal(nil, "session", []byte("the payload of a session")))
	flip := func(i int) string {
		raw, err := base64.RawURLEncoding.DecodeString(sealed)
		if err != nil {
			t.Fatal(err)
		}
		raw[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	for _, c := range []struct {
		name, cookie, value string
		want                error
	}{
		{"empty", "session", "", seal.ErrMalformed},
		{"not base64url", "session", "+/+/" + sealed, seal.ErrMalformed},
		{"padded", "session", sealed + "==", seal.ErrMalformed},
		{"line break that base64 skips", "session", sealed[:8] + "\r\n" + sealed[8:], seal.ErrMalformed},
		{"shorter than the overhead", "session", sealed[:40], seal.ErrMalformed},
		{"another version", "session", flip(0), seal.ErrMalformed},
		{"another key id", "session", flip(1), seal.ErrUnknownKey},
		{"nonce changed", "session", flip(6), seal.ErrTampered},
		{"first byte changed", "session", flip(17), seal.ErrTampered},
		{"last byte of the tag changed", "session", flip(seal.DecodeLen(len(sealed)) - 1), seal.ErrTampered},
		{"cut by four characters", "session", sealed[:len(sealed)-4], seal.ErrTampered},
		{"moved to another cookie", "active", sealed, seal.ErrTampered},
		{"sealed by a foreign key", "session", string(ring(t, 9).Seal(nil, "session", []byte("x"))), seal.ErrUnknownKey},
	} {
		if _, _, err := open(k, c.cookie, c.value); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestKeysRotateWithoutLosingValues(t *testing.T) {
	k := ring(t, 1)
	old := string(k.Seal(nil, "session", []byte("old")))
	oldID := k.IDs()[0]

	if err := k.Replace([][]byte{key(2), key(1)}); err != nil {
		t.Fatal(err)
	}
	if got, id, err := open(k, "session", old); err != nil || string(got) != "old" || id != oldID {
		t.Errorf("after rotation: %q by %v, %v", got, id, err)
	}
	if _, id, err := open(k, "session", string(k.Seal(nil, "session", nil))); err != nil || id == oldID {
		t.Errorf("new values are sealed by %v, %v: want the new first key", id, err)
	}
	if err := k.Replace([][]byte{key(2)}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(k, "session", old); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("after the old key went: %v", err)
	}
}

func TestBadKeysAreRefusedAndTheRingStays(t *testing.T) {
	k := ring(t, 1)
	sealed := string(k.Seal(nil, "n", []byte("x")))
	tooMany := make([][]byte, seal.MaxKeys+1)
	for i := range tooMany {
		tooMany[i] = key(byte(i))
	}
	for name, keys := range map[string][][]byte{
		"none":     nil,
		"short":    {key(3)[:31]},
		"long":     {append(key(3), 0)},
		"doubled":  {key(3), key(4), key(3)},
		"too many": tooMany,
	} {
		if err := k.Replace(keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, _, err := open(k, "n", sealed); err != nil {
			t.Errorf("%s: the ring lost its keys: %v", name, err)
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
	if err := codec.Decode("c", strings.Repeat("A", 101), &got); !errors.Is(err, seal.ErrMalformed) {
		t.Errorf("a value over MaxLength: %v", err)
	}
	if _, err := codec.Encode("c", 1); err == nil {
		t.Error("an int was encoded")
	}
	if err := codec.Decode("c", value, new(string)); err == nil {
		t.Error("decoded into a string")
	}
}

func FuzzOpen(f *testing.F) {
	k := ring(f, 1, 2)
	f.Add("session", string(k.Seal(nil, "session", []byte("payload"))))
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

package seal_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"cognito-token-handler/tokenhandler/seal"
)

func TestParseKeyTakesEverySpellingOfBase64(t *testing.T) {
	want := bytes.Repeat([]byte{0xfb, 0xff}, seal.KeySize/2) // its base64 has both special characters
	for name, encoding := range map[string]*base64.Encoding{
		"standard": base64.StdEncoding, "standard without padding": base64.RawStdEncoding,
		"URL-safe": base64.URLEncoding, "URL-safe without padding": base64.RawURLEncoding,
	} {
		if got, err := seal.ParseKey(encoding.EncodeToString(want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":             "is 0 bytes long and not 32",
		"c2hvcnQ=":     "is 5 bytes long and not 32",
		"no base64 !!": "is not base64",
		base64.StdEncoding.EncodeToString(make([]byte, seal.KeySize)): "is the same byte 32 times",
	} {
		if _, err := seal.ParseKey(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

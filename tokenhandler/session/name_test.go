package session_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"cognito-token-handler/tokenhandler/session"
)

func TestNameRoundTrip(t *testing.T) {
	want := session.Name{0, 1, 0xfe, 0xff, 4, 5, 6, 7}
	const text = "0001feff04050607"
	for _, digits := range []string{text, strings.ToUpper(text)} {
		if got, err := session.ParseName(digits); err != nil || got != want {
			t.Errorf("ParseName(%q) = %s, %v", digits, got, err)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("test", "session", want)
	if want.String() != text || !strings.Contains(log.String(), `"session":"`+text+`"`) {
		t.Errorf("String() = %s, logged as %s", want, &log)
	}
}

func TestMalformedNames(t *testing.T) {
	for _, text := range []string{"", "01020304", "010203040506070g", strings.Repeat("01", 16)} {
		if got, err := session.ParseName(text); err == nil {
			t.Errorf("ParseName(%q) = %s", text, got)
		}
	}
}

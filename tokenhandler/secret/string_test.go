package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"
	"unsafe"

	"cognito-token-handler/tokenhandler/secret"
)

type xmlHolder struct{ Token secret.String }

func TestStringIsNeverPrinted(t *testing.T) {
	const planted = "planted-token-value"
	type holder struct {
		Token  secret.String
		Nested *secret.String
		List   []secret.String
		Map    map[string]secret.String
		hidden secret.String
	}
	s := secret.New(planted)
	h := holder{Token: s, Nested: &s, List: []secret.String{s}, Map: map[string]secret.String{"a": s}, hidden: s}

	printed := map[string]string{}
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d"} {
		printed["value "+verb] = fmt.Sprintf(verb, s)
		printed["struct "+verb] = fmt.Sprintf(verb, h)
	}
	printed["error"] = fmt.Errorf("refreshing with %v: %w", s, fmt.Errorf("inner %s", s)).Error()

	js, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	printed["json"] = string(js)
	x, err := xml.Marshal(xmlHolder{s})
	if err != nil {
		t.Fatal(err)
	}
	printed["xml"] = string(x)

	var buf bytes.Buffer
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "a", s, "b", h)
	slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "a", s, "b", h)
	printed["slog"] = buf.String()

	buf.Reset()
	if err := template.Must(template.New("").Parse("{{.Token}} {{.List}}")).Execute(&buf, h); err != nil {
		t.Fatal(err)
	}
	printed["template"] = buf.String()

	for how, out := range printed {
		if strings.Contains(out, planted) || strings.Contains(strings.ToLower(out), fmt.Sprintf("%x", planted)) {
			t.Errorf("%s printed the secret: %s", how, out)
		}
		if !strings.Contains(out, secret.Redacted) {
			t.Errorf("%s lacks the text for a redacted value: %s", how, out)
		}
	}
}

func TestStringEqual(t *testing.T) {
	// Two empty secrets must not be equal: otherwise a callback would be accepted if
	// neither the cookie nor the request had a state.
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"x", "x", true},
		{"x", "y", false},
		{"x", "xx", false},
		{"", "x", false},
		{"x", "", false},
		{"", "", false},
	} {
		if got := secret.New(c.a).Equal(secret.New(c.b)); got != c.want {
			t.Errorf("%q equal %q: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

func TestBearer(t *testing.T) {
	header := "Bearer the-token"
	for name, s := range map[string]secret.String{"wrapped": secret.WrapBearer(&header), "made": secret.New("the-token")} {
		if s.Bearer() != header || s.Reveal() != "the-token" || !s.Equal(secret.New("the-token")) {
			t.Errorf("%s: the header is %q, the token %q", name, s.Bearer(), s.Reveal())
		}
	}
	if empty := "Bearer "; !secret.WrapBearer(&empty).IsZero() {
		t.Error("a header without a token is not empty")
	}
}

// TestBearerDoesNotCopyTheToken: every API request sends the header that the session keeps.
func TestBearerDoesNotCopyTheToken(t *testing.T) {
	header := "Bearer the-token"
	s := secret.WrapBearer(&header)
	if got := s.Bearer(); unsafe.StringData(got) != unsafe.StringData(header) {
		t.Error("the header was copied")
	}
}

// TestZeroValue: a secret that nobody has set is an empty one.
func TestZeroValue(t *testing.T) {
	var s secret.String
	if s.Reveal() != "" || s.Bearer() != "Bearer " || !s.IsZero() || s.Equal(secret.String{}) || s.Equal(secret.New("x")) {
		t.Errorf("the zero value reveals %q", s.Reveal())
	}
}

// TestDecodersFillSecrets: a decoder writes the value into the secret, which does not print it.
func TestDecodersFillSecrets(t *testing.T) {
	var body struct{ Token secret.String }
	if err := json.Unmarshal([]byte(`{"Token":"the-token"}`), &body); err != nil || body.Token.Reveal() != "the-token" {
		t.Errorf("decoded %q, %v", body.Token.Reveal(), err)
	}
}

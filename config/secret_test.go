package config_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/secret"
)

func TestParseKeys(t *testing.T) {
	keys, err := config.ParseKeys([]byte("\ufeff# newest\r\n" + key(1) + "\r\n\r\n" + strings.TrimRight(key(2), "=") + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	raw := config.KeyBytes(keys)
	if len(raw) != 2 {
		t.Fatalf("%d keys", len(raw))
	}
	for i, b := range raw {
		want, _ := base64.StdEncoding.DecodeString(key(i + 1))
		if !bytes.Equal(b, want) {
			t.Errorf("key %d is not the one of the file", i)
		}
	}
}

// A reload refuses the same files as the start. The error says why and quotes no key.
func TestParseKeysRefuses(t *testing.T) {
	many := make([]string, 17)
	for i := range many {
		many[i] = key(i)
	}
	for content, want := range map[string]string{
		"":                       "session.keys_file: is empty; give it a value or remove it",
		"# only a comment\n":     "session.keys_file: is empty; give it a value or remove it",
		key(1) + "\nhunter2!\n":  "session.keys_file: line 2 is not base64; make one with `tokenhandler keygen`",
		key(1) + "\n" + key(1):   "session.keys_file: line 2 repeats value 1; remove one of them",
		strings.Join(many, "\n"): "session.keys_file: has 17 values; keep at most 16",
	} {
		if _, err := config.ParseKeys([]byte(content)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// The other files of secrets are parsed as at the start, too.
func TestParseSecretsRefuses(t *testing.T) {
	for _, c := range []struct {
		parse         func([]byte) ([]secret.String, error)
		content, want string
	}{
		{config.ParseClientSecrets, "one\ntwo\none", "provider.client_secret_file: line 3 repeats value 1; remove one of them"},
		{config.ParseClientSecrets, "\n", "provider.client_secret_file: is empty; give it a value or remove it"},
		{config.ParseAdminToken, "hunter2", "admin.token_file: line 1 is shorter than 16 characters; write a long random value, such as `openssl rand -base64 32` prints"},
		{config.ParseAdminToken, "0123456789abcdef\nfedcba9876543210", "admin.token_file: has 2 values; keep at most 1"},
		{config.ParseVerifySecret, "0123456789 abcdef", "auth.verify_secret_file: line 1 contains characters that a header must not have; write letters, digits and -._~+/= only"},
	} {
		if _, err := c.parse([]byte(c.content)); err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.content, err, c.want)
		}
	}
	got, err := config.ParseClientSecrets([]byte("one\n\ntwo\n"))
	if err != nil || len(got) != 2 || got[0].Reveal() != "one" || got[1].Reveal() != "two" {
		t.Errorf("got %d secrets, %v", len(got), err)
	}
}

// TestSecretsHaveNoNameInFront: a file of variables in the place of a file with the value
// would be accepted, and every login fail. No message quotes the value.
func TestSecretsHaveNoNameInFront(t *testing.T) {
	const value, want = "hunter2hunter2hunter2", "begins with a name, such as client_secret=, that would be part of the secret; write the value only"
	for _, content := range []string{
		"client_secret=" + value, "CLIENT_SECRET = " + value, "secret: " + value, "token:" + value, "export TH_ADMIN__TOKEN=" + value,
		"TH_SESSION__KEYS=" + value, "db.password=" + value, "client-secret=" + value, `{"client_secret":"` + value + `"}`, "{",
	} {
		for name, parse := range map[string]func([]byte) ([]secret.String, error){
			"session.keys_file": config.ParseKeys, "provider.client_secret_file": config.ParseClientSecrets,
			"admin.token_file": config.ParseAdminToken, "auth.verify_secret_file": config.ParseVerifySecret,
		} {
			if _, err := parse([]byte(content + "\n")); err == nil || err.Error() != name+": line 1 "+want {
				t.Errorf("%s, %q: got %v", name, content, err)
			}
		}
		read := func(name string) ([]byte, error) {
			if name == "/run/secrets/mistaken" {
				return []byte(content), nil
			}
			return readFile(name)
		}
		for _, key := range []string{"TH_PROVIDER__CLIENT_SECRET_FILE", "TH_SESSION__STORE_FILE", "TH_ADMIN__TOKEN_FILE"} {
			_, err := config.Load([]byte(smallest), "tokenhandler.yaml", []string{key + "=/run/secrets/mistaken"}, config.Machine{ReadFile: read})
			if err == nil || !strings.Contains(err.Error(), "begins with a name") || strings.Contains(err.Error(), value) {
				t.Errorf("%s, %q: got %v", key, content, err)
			}
		}
	}
	for _, content := range []string{ // values that only resemble that
		"secretsecretsecretsecret=", "keytokenKEYtoken==", "client_secret", "KeyKeyKeyKeyKeyKeyKey+secret=", "tokenhandler/of/us==",
	} {
		if _, err := config.ParseClientSecrets([]byte(content)); err != nil {
			t.Errorf("%q: %v", content, err)
		}
	}
	mustLoad(t, smallest, "TH_SESSION__STORE=valkeys://user:token=x@cache:6379/0")
}

package config_test

import (
	"encoding/base64"
	"io/fs"
	"path/filepath"
	"testing"

	"cognito-token-handler/config"
)

const (
	plantedSecret  = "planted-client-secret-value"
	plantedToken   = "planted-admin-token-value"
	plantedGateway = "planted-verify-secret-value"
)

// key returns a valid session key that differs for every n.
func key(n int) string {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(i * (n + 3))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// readFile reads the files of an imaginary operator.
func readFile(name string) ([]byte, error) {
	files := map[string]string{
		"/run/secrets/client_secret":   plantedSecret + "\n",
		"/run/secrets/two_secrets":     plantedSecret + "\r\n\r\n" + plantedSecret + "-2\r\n",
		"/run/secrets/session_keys":    "# the newest first\n" + key(1) + "\n\n  " + key(2) + "  \n",
		"session_keys":                 key(6), // of examples/cognito-local.yaml
		"/run/secrets/other_keys":      key(6),
		"/run/secrets/store_url":       "valkeys://user:pass@cache:6379/1",
		"/run/secrets/other_store_url": "rediss://cache",
		"/run/secrets/plain_store_url": "redis://cache",
		"/run/secrets/other_token":     "another-admin-token",
		"/run/secrets/bad_keys":        key(1) + "\nnot base64!\n" + key(1)[:20] + "\n",
		"/run/secrets/twice":           key(1) + "\n" + key(1) + "\n",
		"/run/secrets/admin_token":     plantedToken + "\n",
		"/run/secrets/verify_secret":   plantedGateway + "\n",
		"/run/secrets/two_tokens":      plantedToken + "\n" + plantedToken + "2\n",
		"/run/secrets/empty":           "\n \n",
		"/run/secrets/quoted_keys":     "\"" + key(1) + "\"\n",
		"/run/secrets/quoted_secret":   "'hunter2-hunter2-hunter2'\n",
		"/run/secrets/marked_secret":   "\ufeff" + plantedSecret + "\r\n",
		"/run/secrets/two_marks":       "\ufeff\ufeffhunter2-hunter2-hunter2\r\n",
		"/run/secrets/utf16":           "\xff\xfeh\x00u\x00n\x00t\x00e\x00r\x002\x00",
		"/run/secrets/huge":            string(make([]byte, 64<<10+1)),
	}
	if name == "/run/secrets/forbidden" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	if content, ok := files[name]; ok {
		return []byte(content), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func mustLoad(t *testing.T, file string, environ ...string) config.Config {
	t.Helper()
	c, err := config.Load([]byte(file), "tokenhandler.yaml", environ, config.Machine{ReadFile: readFile})
	if err != nil {
		t.Fatalf("loading:\n%v", err)
	}
	return c
}

// corpus lists the files that match the pattern. It fails if there are too few, so
// that a moved folder is noticed.
func corpus(tb testing.TB, pattern string, least int) []string {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		tb.Fatal(err)
	}
	if len(files) < least {
		tb.Fatalf("%s: %d files, want at least %d", pattern, len(files), least)
	}
	return files
}

package app_test

import (
	"os"
	"testing"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
)

// TestContentTypesMeanTheSame: the configuration accepts the same content types as the
// storage.
func TestContentTypesMeanTheSame(t *testing.T) {
	for entry, good := range map[string]bool{
		"image/png": true, "IMAGE/PNG": true, "image/*": true, "application/vnd.api+json": true,
		"*/*": false, "*": false, "image": false, "image/": false, "image/p*": false, "im*/png": false, "image/*; q=1": false,
		"text/html; charset=utf-8": false, "a/b/c": false, "image/**": false,
	} {
		cfg := parsed(t)
		cfg.Storage.ContentTypes = []string{entry}
		if _, err := app.New(t.Context(), cfg, discard()); (err == nil) != good {
			t.Errorf("the storage on %q: %v", entry, err)
		}
		_, err := config.Load([]byte(`
public_url: http://localhost:8080
provider: {issuer: "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI", client_id: c, client_secret: some-secret}
session: {keys: [MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY=]}
storage: {bucket: files, region: us-east-1, content_types: ["`+entry+`"]}
`), "test.yaml", nil, config.Machine{ReadFile: os.ReadFile})
		if (err == nil) != good {
			t.Errorf("the configuration on %q: %v", entry, err)
		}
	}
}

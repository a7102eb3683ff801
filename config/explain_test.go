package config_test

import (
	"strings"
	"testing"

	"cognito-token-handler/config"
)

func TestExplain(t *testing.T) {
	for key, want := range map[string][]string{
		"session.idle_timeout":     {"session.idle_timeout\n\nA session ends", "value     duration\n", "default   1h\n", "variable  TH_SESSION__IDLE_TIMEOUT\n"},
		"TH_SESSION__IDLE_TIMEOUT": {"session.idle_timeout\n\nA session ends"},
		"api.routes.upstream":      {"Where requests are forwarded to", "value     URL\n"},
		"api.routes[].upstream":    {"Where requests are forwarded to"},
		"storage.quota":            {"storage.quota.bytes\nstorage.quota.objects\n"},
		"":                         {"public_url\n", "\napi.routes.path\n", "\nlog.level\n"},
	} {
		text, err := config.Explain(key)
		for _, part := range want {
			if err != nil || !strings.Contains(text, part) {
				t.Errorf("%q: no %q in\n%s%v", key, part, text, err)
			}
		}
	}
	if text, _ := config.Explain("api.routes.upstream"); strings.Contains(text, "variable") {
		t.Errorf("a key of a route has no variable of its own:\n%s", text)
	}
}

func TestExplainSuggestsTheKeyThatWasMeant(t *testing.T) {
	for key, want := range map[string]string{
		"session.idle_timeot": "did you mean session.idle_timeout?",
		"idle_timeout":        "did you mean session.idle_timeout?",
		"\x1b[31mnonsense":    "config/reference.md",
	} {
		if _, err := config.Explain(key); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v, want %q", key, err, want)
		}
	}
}

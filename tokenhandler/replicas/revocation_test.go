package replicas_test

import (
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
)

func TestCheck(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		entry replicas.Revocation
		good  bool
	}{
		"session":                    {replicas.Revocation{Kind: replicas.KindSession, Name: "0102030405060708", Until: now}, true},
		"session, short":             {replicas.Revocation{Kind: replicas.KindSession, Name: "01020304", Until: now}, false},
		"session, no digits":         {replicas.Revocation{Kind: replicas.KindSession, Name: "010203040506070g", Until: now}, false},
		"session, its cookie":        {replicas.Revocation{Kind: replicas.KindSession, Name: strings.Repeat("01", 16), Until: now}, false},
		"user":                       {replicas.Revocation{Kind: replicas.KindSubject, Name: "u", Before: now, Until: now}, true},
		"user, for ever":             {replicas.Revocation{Kind: replicas.KindSubject, Name: "u", Until: now}, false},
		"user, not kept":             {replicas.Revocation{Kind: replicas.KindSubject, Name: "u", Before: now}, false},
		"user, as long as it can be": {replicas.Revocation{Kind: replicas.KindSubject, Name: strings.Repeat("u", 255), Before: now, Until: now}, true},
		"user, too long":             {replicas.Revocation{Kind: replicas.KindSubject, Name: strings.Repeat("u", 256), Before: now, Until: now}, false},
		"sid":                        {replicas.Revocation{Kind: replicas.KindProviderSession, Name: "s", Before: now, Until: now}, true},
		"nobody":                     {replicas.Revocation{Kind: replicas.KindSubject, Before: now, Until: now}, false},
		"unknown kind":               {replicas.Revocation{Kind: "all", Name: "u", Before: now, Until: now}, false},
		"nothing":                    {},
	} {
		if err := c.entry.Check(); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

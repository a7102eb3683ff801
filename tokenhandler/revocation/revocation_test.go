package revocation_test

import (
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/revocation"
)

func TestCheck(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		entry revocation.Entry
		good  bool
	}{
		"session":                    {revocation.Entry{Kind: revocation.Session, Name: "0102030405060708", Until: now}, true},
		"session, short":             {revocation.Entry{Kind: revocation.Session, Name: "01020304", Until: now}, false},
		"session, no digits":         {revocation.Entry{Kind: revocation.Session, Name: "010203040506070g", Until: now}, false},
		"session, its cookie":        {revocation.Entry{Kind: revocation.Session, Name: strings.Repeat("01", 16), Until: now}, false},
		"user":                       {revocation.Entry{Kind: revocation.Subject, Name: "u", Before: now, Until: now}, true},
		"user, for ever":             {revocation.Entry{Kind: revocation.Subject, Name: "u", Until: now}, false},
		"user, not kept":             {revocation.Entry{Kind: revocation.Subject, Name: "u", Before: now}, false},
		"user, as long as it can be": {revocation.Entry{Kind: revocation.Subject, Name: strings.Repeat("u", 255), Before: now, Until: now}, true},
		"user, too long":             {revocation.Entry{Kind: revocation.Subject, Name: strings.Repeat("u", 256), Before: now, Until: now}, false},
		"sid":                        {revocation.Entry{Kind: revocation.ProviderSession, Name: "s", Before: now, Until: now}, true},
		"nobody":                     {revocation.Entry{Kind: revocation.Subject, Before: now, Until: now}, false},
		"unknown kind":               {revocation.Entry{Kind: "all", Name: "u", Before: now, Until: now}, false},
		"nothing":                    {},
	} {
		if err := c.entry.Check(); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

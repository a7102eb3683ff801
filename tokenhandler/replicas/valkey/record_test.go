package valkey_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/valkey"
)

var (
	before = time.Date(2026, 1, 2, 3, 4, 5, 678_000_001, time.UTC)
	until  = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
)

func entries() []replicas.Revocation {
	return []replicas.Revocation{
		{Kind: replicas.KindSession, Name: "0123456789abcdef", Until: until},
		{Kind: replicas.KindSubject, Name: "a user", Before: before, Until: until},
		{Kind: replicas.KindProviderSession, Name: strings.Repeat("ä", 127), Before: before, Until: until},
	}
}

// TestEntriesAreNotShortened: a revocation that was shared ends no fewer sessions than before.
func TestEntriesAreNotShortened(t *testing.T) {
	for _, e := range entries() {
		fields, err := valkey.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := valkey.Decode(fields)
		if err != nil {
			t.Fatalf("%v: %v", fields, err)
		}
		if got.Kind != e.Kind || got.Name != e.Name {
			t.Errorf("%+v became %+v", e, got)
		}
		for _, times := range [][2]time.Time{{e.Before, got.Before}, {e.Until, got.Until}} {
			if later := times[1].Sub(times[0]); later < 0 || later >= time.Millisecond {
				t.Errorf("%s became %s", times[0], times[1])
			}
		}
		again, err := valkey.Encode(got)
		if err != nil || !maps.Equal(again, fields) {
			t.Errorf("%v became %v, %v", fields, again, err)
		}
	}
}

func TestMalformedEntries(t *testing.T) {
	for name, e := range map[string]replicas.Revocation{
		"empty":         {},
		"no end":        {Kind: replicas.KindSession, Name: "0123456789abcdef"},
		"ends never":    {Kind: replicas.KindSession, Name: "0123456789abcdef", Until: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"no beginning":  {Kind: replicas.KindSubject, Name: "x", Until: until},
		"before 1970":   {Kind: replicas.KindSubject, Name: "x", Before: time.Unix(-1, 0), Until: until},
		"unknown kind":  {Kind: "root", Name: "x", Before: before, Until: until},
		"no session":    {Kind: replicas.KindSession, Name: "x", Until: until},
		"name too long": {Kind: replicas.KindSubject, Name: strings.Repeat("x", 256), Before: before, Until: until},
	} {
		if fields, err := valkey.Encode(e); err == nil {
			t.Errorf("%s: encoded as %v", name, fields)
		}
	}
}

// FuzzDecode: somebody who can write to the store can add valid revocations only.
func FuzzDecode(f *testing.F) {
	seeds := 0
	for _, e := range entries() {
		fields, err := valkey.Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(fields["until"], fields["kind"], fields["name"], fields["before"], "")
		f.Add(fields["until"], fields["kind"], fields["name"], fields["before"], "more")
		f.Add("+"+fields["until"], fields["kind"], fields["name"], "0"+fields["before"], "")
		seeds += 3
	}
	f.Add("9223372036854775807", "sub", "x", "-9223372036854775808", "")
	f.Add("1e9", "session", "0123456789ABCDEF", "", "")
	if seeds < 9 {
		f.Fatalf("%d seeds", seeds)
	}
	f.Fuzz(func(t *testing.T, until, kind, name, before, more string) {
		fields := map[string]string{"until": until, "kind": kind, "name": name, "before": before}
		if more != "" {
			fields[more] = more
		}
		e, err := valkey.Decode(fields)
		if err != nil {
			return
		}
		if err := e.Check(); err != nil {
			t.Fatalf("%v was taken: %v", fields, err)
		}
		again, err := valkey.Encode(e)
		if err != nil || !maps.Equal(again, fields) {
			t.Fatalf("%v became %v, %v", fields, again, err)
		}
	})
}

package valkey_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/seal"
)

// sealer seals with a key that consists of one letter.
func sealer(t *testing.T, letter byte) seal.Codec {
	t.Helper()
	keys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{letter}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return seal.Codec{Keys: keys, MaxLength: 1024, Binding: seal.Bind("revocations", "issuer", "client")}
}

// streamed returns the stream entries of a revocation.
func streamed(t *testing.T, s valkey.Sealer, e replicas.Revocation) (entries []map[string]string) {
	t.Helper()
	values, err := valkey.Fields(s, e)
	if err != nil {
		t.Fatal(err)
	}
	for four := range slices.Chunk(values, 4) {
		entries = append(entries, map[string]string{"until": four[0], "kind": four[1], "name": four[2], "before": four[3]})
	}
	return entries
}

func byOperators() []replicas.Revocation {
	return []replicas.Revocation{
		{Kind: replicas.KindSession, Name: "0123456789abcdef", Until: until, Operator: true},
		{Kind: replicas.KindSubject, Name: "a user, with spaces", Before: before, Until: until, Operator: true},
		{Kind: replicas.KindSubject, Name: strings.Repeat("ä", 127), Before: before, Until: until, Operator: true},
	}
}

// TestOperatorsRevocations: a replica of this release learns that an operator made the revocation; one of an earlier release skips that
// and gets the revocation itself. What takes it back is one entry, which earlier releases skip.
func TestOperatorsRevocations(t *testing.T) {
	s := sealer(t, 'k')
	for _, e := range byOperators() {
		entries := streamed(t, s, e)
		if len(entries) != 2 {
			t.Fatalf("%v: %d entries", e, len(entries))
		}
		sealed, err := valkey.DecodeSealed(s, entries[0])
		if err != nil || !sealed.Operator || sealed.Lifted || sealed.Kind != e.Kind || sealed.Name != e.Name {
			t.Errorf("%v became %v, %v", e, sealed, err)
		}
		plain := e
		plain.Operator = false
		if earlier := streamed(t, s, plain); len(earlier) != 1 || !maps.Equal(earlier[0], entries[1]) {
			t.Errorf("an earlier release reads %v, and has written %v", entries[1], earlier)
		}
		e.Lifted = true
		entries = streamed(t, s, e)
		lifted, err := valkey.DecodeSealed(s, entries[0])
		if err != nil || len(entries) != 1 || !lifted.Lifted || lifted.Name != e.Name || !lifted.Until.Equal(sealed.Until) || !lifted.Before.Equal(sealed.Before) {
			t.Errorf("%v became %v, %v", e, lifted, err)
		}
	}
}

// TestStoreCannotLift: somebody who can write to the store takes nothing back.
func TestStoreCannotLift(t *testing.T) {
	s := sealer(t, 'k')
	e := byOperators()[1]
	made := streamed(t, s, e)[0]
	e.Lifted = true
	lifted := streamed(t, s, e)[0]
	change := func(from map[string]string, key, value string) map[string]string {
		changed := maps.Clone(from)
		changed[key] = value
		return changed
	}
	for name, fields := range map[string]map[string]string{
		"a revocation made a lift":   change(made, "kind", "lifted"),
		"a lift made a revocation":   change(lifted, "kind", "operator"),
		"another end":                change(lifted, "until", "1800000000000"),
		"not sealed":                 change(lifted, "name", "lifted sub 1800000000000 1700000000000 user"),
		"with another key":           streamed(t, sealer(t, 'x'), e)[0],
		"with a beginning":           change(lifted, "before", "1700000000000"),
		"with a further field":       change(lifted, "more", "x"),
		"for another client of ours": streamed(t, seal.Codec{Keys: s.Keys, MaxLength: 1024, Binding: seal.Bind("revocations", "issuer", "another")}, e)[0],
	} {
		if got, err := valkey.DecodeSealed(s, fields); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

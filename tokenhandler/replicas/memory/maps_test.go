package memory_test

import (
	"fmt"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/replicas/memory"
)

// The number of entries is bounded, and the newest maps stay.
func TestMapsAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m := memory.NewMaps(func() time.Time { return now }, 100)
	put := func(name string) {
		t.Helper()
		set := map[string]string{}
		for i := range 10 {
			set[fmt.Sprint(i)] = "x"
		}
		if changed, err := m.ChangeMap(t.Context(), name, "", set, nil, time.Minute); err != nil || !changed {
			t.Fatal(changed, err)
		}
	}
	count := func() (total int) {
		t.Helper()
		for i := range 50 {
			entries, _, err := m.ReadMap(t.Context(), fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			total += len(entries)
		}
		return total
	}
	for i := range 9 {
		put(fmt.Sprint(i))
	}
	now = now.Add(time.Minute) // they have expired
	for i := range 10 {
		put(fmt.Sprint(10 + i))
	}
	if count() != 100 {
		t.Errorf("%d entries: those that had expired were not forgotten first", count())
	}
	for i := range 30 {
		put(fmt.Sprint(20 + i))
		if total := count(); total > 100 || total < 80 {
			t.Fatalf("%d entries", total)
		}
	}
	if entries, _, err := m.ReadMap(t.Context(), "49"); err != nil || len(entries) != 10 {
		t.Errorf("the newest map is %v, %v", entries, err)
	}
}

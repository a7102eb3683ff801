package replicastest

import (
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"
)

func mapCases() []testCase {
	return []testCase{
		{"MapChanges", mapChanges},
		{"MapExpires", mapExpires},
		{"MapsDoNotMix", mapsDoNotMix},
		{"ConcurrentMapChanges", concurrentMapChanges},
	}
}

// wantMap asserts what a map holds, and returns its version.
func (r *Replica) wantMap(t *testing.T, name string, want map[string]string) (version string) {
	t.Helper()
	got, version, err := r.Maps.ReadMap(t.Context(), name)
	if err != nil || !maps.Equal(got, want) || (version == "") != (len(want) == 0) {
		t.Errorf("%s is %q of version %q, %v, want %q", name, got, version, err, want)
	}
	return version
}

// change changes a map, and wants it to be done or not.
func (r *Replica) change(t *testing.T, name, version string, set map[string]string, remove []string, want bool) {
	t.Helper()
	changed, err := r.Maps.ChangeMap(t.Context(), name, version, set, remove, time.Hour)
	if err != nil || changed != want {
		t.Errorf("changing %s of version %q: %t, %v, want %t", name, version, changed, err, want)
	}
}

// mapChanges: every replica sees a change at once, and a change of what another has changed meanwhile is refused as a whole.
func mapChanges(t *testing.T, s Store) {
	first, second := s.Start(t), s.Start(t)
	first.wantMap(t, "m", nil)
	first.change(t, "m", "", map[string]string{"a": "1", "odd \r\n % ä": "'\x00\""}, nil, true)
	version := second.wantMap(t, "m", map[string]string{"a": "1", "odd \r\n % ä": "'\x00\""})
	second.change(t, "m", "", map[string]string{"a": "2"}, nil, false)
	second.change(t, "m", "another", map[string]string{"a": "2"}, []string{"a"}, false)
	second.change(t, "m", version, map[string]string{"a": "3", "b": "4"}, []string{"odd \r\n % ä", "nothing"}, true)
	first.change(t, "m", version, map[string]string{"a": "5"}, nil, false)
	first.wantMap(t, "m", map[string]string{"a": "3", "b": "4"})
}

func mapExpires(t *testing.T, s Store) {
	r := s.Start(t)
	begun := time.Now()
	if changed, err := r.Maps.ChangeMap(t.Context(), "m", "", map[string]string{"a": "1"}, nil, time.Second); err != nil || !changed {
		t.Fatal(changed, err)
	}
	old := ""
	eventually(t, "the map has expired", func() bool {
		entries, version, err := r.Maps.ReadMap(t.Context(), "m")
		if version != "" {
			old = version
		}
		return err == nil && len(entries) == 0
	})
	if waited := time.Since(begun); waited < time.Second {
		t.Errorf("the map has expired after %s", waited)
	}
	r.change(t, "m", old, map[string]string{"a": "2"}, nil, false)
	r.change(t, "m", "", map[string]string{"b": "2"}, nil, true)
	if version := r.wantMap(t, "m", map[string]string{"b": "2"}); version == old {
		t.Error("a map that begins again has a version that it had")
	}
}

func mapsDoNotMix(t *testing.T, s Store) {
	r := s.Start(t)
	names := []string{"m", "m:", "users/a/", "users/a", "\r\n"}
	for _, name := range names {
		r.change(t, name, "", map[string]string{"name": name}, nil, true)
	}
	for _, name := range names {
		r.wantMap(t, name, map[string]string{"name": name})
	}
}

// concurrentMapChanges: no change is lost when replicas change the same map at the same time.
func concurrentMapChanges(t *testing.T, s Store) {
	all := []*Replica{s.Start(t)}
	if !s.Alone {
		all = append(all, s.Start(t))
	}
	const callers, each = 3, 10
	var working sync.WaitGroup
	for i := range callers * len(all) {
		working.Go(func() { all[i%len(all)].increase(t, each, fmt.Sprint("own ", i)) })
	}
	working.Wait()
	got, _, err := all[0].Maps.ReadMap(t.Context(), "m")
	if want := strconv.Itoa(callers * len(all) * each); err != nil || got["sum"] != want || len(got) != 1+callers*len(all) {
		t.Errorf("%q, %v, want a sum of %s", got, err, want)
	}
}

// increase adds one to the entry sum so many times.
func (r *Replica) increase(t *testing.T, times int, own string) {
	for times > 0 {
		entries, version, err := r.Maps.ReadMap(t.Context(), "m")
		sum, _ := strconv.Atoi(entries["sum"])
		changed := false
		if err == nil {
			changed, err = r.Maps.ChangeMap(t.Context(), "m", version, map[string]string{"sum": strconv.Itoa(sum + 1), own: "x"}, nil, time.Hour)
		}
		if err != nil {
			t.Error(err)
			return
		}
		if changed {
			times--
		}
	}
}

// mapsInAnOutage: nothing is read or changed, without a long wait, and afterwards the maps can be used.
func mapsInAnOutage(t *testing.T, s Store) {
	r := s.Start(t)
	r.change(t, "m", "", map[string]string{"a": "1"}, nil, true)
	s.Break(t, r)
	begun := time.Now()
	if entries, version, err := r.Maps.ReadMap(t.Context(), "m"); err == nil || entries != nil || version != "" {
		t.Errorf("%q, %q, %v in an outage", entries, version, err)
	}
	if changed, err := r.Maps.ChangeMap(t.Context(), "m", "", map[string]string{"a": "1"}, nil, time.Hour); err == nil || changed {
		t.Errorf("%t, %v in an outage", changed, err)
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("the calls took %s in an outage that was known", took)
	}
	s.Mend(t, r)
	s.Forget(t)
	s.Mend(t, r)
	_, version, err := r.Maps.ReadMap(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	r.change(t, "m", version, map[string]string{"b": "2"}, nil, true)
}

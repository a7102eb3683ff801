package replicastest

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
)

func mapCases() []testCase {
	return []testCase{
		{"MapChanges", mapChanges},
		{"MapExpires", mapExpires},
		{"MapsDoNotMix", mapsDoNotMix},
		{"ConcurrentMapChanges", concurrentMapChanges},
	}
}

// read repeats reading a map until the store answers.
func (r *Replica) read(t *testing.T, name string) (entries map[string]string, version string) {
	t.Helper()
	persist(t, "reading "+name, func(ctx context.Context) (err error) {
		entries, version, err = r.Maps.ReadMap(ctx, name)
		return err
	})
	return entries, version
}

// wantMap asserts what a map holds, and returns its version.
func (r *Replica) wantMap(t *testing.T, name string, want map[string]string) (version string) {
	t.Helper()
	got, version := r.read(t, name)
	if !maps.Equal(got, want) || (version == "") != (len(want) == 0) {
		t.Errorf("%s is %q of version %q, want %q", name, got, version, want)
	}
	return version
}

// change changes a map, and wants it to be done or not.
func (r *Replica) change(t *testing.T, name, version string, set map[string]string, remove []string, want bool) {
	t.Helper()
	if changed := r.changeFor(t, name, version, set, remove, time.Hour); changed != want {
		t.Errorf("changing %s of version %q: %t, want %t", name, version, changed, want)
	}
}

// changeFor changes a map that nobody else changes, and keeps it for so long. It repeats the call
// until the store answers: a call that has failed may have made the change.
func (r *Replica) changeFor(t *testing.T, name, version string, set map[string]string, remove []string, keep time.Duration) (changed bool) {
	t.Helper()
	_, before := r.read(t, name)
	persist(t, "changing "+name, func(ctx context.Context) (err error) {
		changed, err = r.Maps.ChangeMap(ctx, name, version, set, remove, keep)
		return err
	})
	_, after := r.read(t, name)
	return changed || version == before && after != before
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
	old, begun := "", time.Now()
	for old == "" && !t.Failed() { // on a busy machine it may have expired when it is read
		begun = time.Now()
		r.changeFor(t, "m", "", map[string]string{"a": "1"}, nil, time.Second)
		_, old = r.read(t, "m")
	}
	eventually(t, "the map has expired", func() bool {
		entries, _ := r.read(t, "m")
		return len(entries) == 0
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
	got, _ := all[0].read(t, "m")
	if want := strconv.Itoa(callers * len(all) * each); got["sum"] != want || len(got) != 1+callers*len(all) {
		t.Errorf("%q, want a sum of %s", got, want)
	}
}

// increase adds one to the entry sum so many times, and counts them in the entry own. After a
// call that has failed on a busy machine, own tells whether it made its change.
func (r *Replica) increase(t *testing.T, times int, own string) {
	for made := 0; !t.Failed(); {
		entries, version := r.read(t, "m")
		sum, _ := strconv.Atoi(entries["sum"])
		was := made
		if made, _ = strconv.Atoi(entries[own]); made < was {
			t.Errorf("%s: a change was lost: %d after %d", own, made, was)
		}
		if made == times {
			return
		}
		set := map[string]string{"sum": strconv.Itoa(sum + 1), own: strconv.Itoa(made + 1)}
		if changed, err := r.Maps.ChangeMap(t.Context(), "m", version, set, nil, time.Hour); changed && err == nil {
			made++
		}
	}
}

// mapsInAnOutage: nothing is read or changed, without a long wait, and afterwards the maps can be used.
func mapsInAnOutage(t *testing.T, s Store) {
	r := s.Start(t)
	r.change(t, "m", "", map[string]string{"a": "1"}, nil, true)
	s.Break(t, r)
	testkit.Fast(t, time.Second, "calls in an outage that is known", func() time.Duration {
		begun := time.Now()
		if entries, version, err := r.Maps.ReadMap(t.Context(), "m"); err == nil || entries != nil || version != "" {
			t.Errorf("%q, %q, %v in an outage", entries, version, err)
		}
		if changed, err := r.Maps.ChangeMap(t.Context(), "m", "", map[string]string{"a": "1"}, nil, time.Hour); err == nil || changed {
			t.Errorf("%t, %v in an outage", changed, err)
		}
		return time.Since(begun)
	})
	s.Mend(t, r)
	s.Forget(t)
	s.Mend(t, r)
	_, version := r.read(t, "m")
	r.change(t, "m", version, map[string]string{"b": "2"}, nil, true)
}

package memory

import (
	"context"
	"maps"
	"strconv"
	"sync"
	"time"
)

// Maps are small maps of texts, each with a name and a version. They are those of one
// process: without a shared store, or while it is out. They are safe for concurrent use.
type Maps struct {
	now   func() time.Time
	limit int

	mu      sync.Mutex
	changes uint64
	entries int
	maps    map[string]versioned // name → map
}

type versioned struct {
	version string
	entries map[string]string
	until   time.Time
}

// NewMaps returns no maps. now is the clock, and limit is the number of entries of all
// maps together: what does not fit makes others be forgotten, expired ones first.
func NewMaps(now func() time.Time, limit int) *Maps {
	return &Maps{now: now, limit: limit, maps: make(map[string]versioned)}
}

// ReadMap returns a copy of a map, and its version. A map that does not exist is empty
// and has the version "". There is no error.
func (m *Maps) ReadMap(_ context.Context, name string) (entries map[string]string, version string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := m.find(name)
	return maps.Clone(found.entries), found.version, nil
}

// ChangeMap sets and removes entries of a map that still has this version, and keeps it
// for the given time. It reports false if the map has another version. There is no error.
func (m *Maps) ChangeMap(_ context.Context, name, version string, set map[string]string, remove []string, keep time.Duration) (changed bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := m.find(name)
	if found.version != version {
		return false, nil
	}
	if found.entries == nil {
		found.entries = make(map[string]string, len(set))
	}
	before := len(found.entries)
	maps.Copy(found.entries, set)
	for _, entry := range remove {
		delete(found.entries, entry)
	}
	m.entries += len(found.entries) - before
	m.changes++
	found.version, found.until = strconv.FormatUint(m.changes, 10), m.now().Add(keep)
	m.maps[name] = found
	m.shrink(name)
	return true, nil
}

// find returns a map that has not expired, or the zero value. The caller holds mu.
func (m *Maps) find(name string) versioned {
	found := m.maps[name]
	if !m.now().Before(found.until) {
		m.forget(name)
		return versioned{}
	}
	return found
}

// shrink forgets maps until the limit holds, but not the one with this name. The caller
// holds mu.
func (m *Maps) shrink(but string) {
	if m.entries <= m.limit {
		return
	}
	for name := range m.maps {
		m.find(name)
	}
	for name := range m.maps {
		if m.entries <= m.limit*9/10 {
			return
		}
		if name != but {
			m.forget(name)
		}
	}
}

func (m *Maps) forget(name string) {
	m.entries -= len(m.maps[name].entries)
	delete(m.maps, name)
}

package refresh

// Held returns of how many sessions the memory of m has a record, how many replaced
// sessions it remembers, and how many requests it watches.
func (m *Manager) Held() (records, replaced, watched int) {
	m.memory.mu.Lock()
	defer m.memory.mu.Unlock()
	m.replaced.mu.Lock()
	defer m.replaced.mu.Unlock()
	m.watches.mu.Lock()
	defer m.watches.mu.Unlock()
	return len(m.memory.records), len(m.replaced.at), len(m.watches.all)
}

package refresh

// Held returns of how many sessions the memory of m has a record, and how many requests it
// watches.
func (m *Manager) Held() (records, watched int) {
	m.memory.mu.Lock()
	defer m.memory.mu.Unlock()
	m.watches.mu.Lock()
	defer m.watches.mu.Unlock()
	return len(m.memory.records), len(m.watches.all)
}

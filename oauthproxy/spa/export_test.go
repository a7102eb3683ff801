package spa

// ReplaceTags replaces all cached entity tags, and returns how many there are.
func (h *Handler) ReplaceTags(tag string) int {
	tags := &h.current.Load().tags
	tags.mu.Lock()
	defer tags.mu.Unlock()
	for v := range tags.known {
		tags.known[v] = tag
	}
	return len(tags.known)
}

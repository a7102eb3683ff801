package spa

// ReplaceTags replaces all cached entity tags, and returns how many there are.
func (h *Handler) ReplaceTags(tag string) int {
	h.tags.mu.Lock()
	defer h.tags.mu.Unlock()
	for v := range h.tags.known {
		h.tags.known[v] = tag
	}
	return len(h.tags.known)
}

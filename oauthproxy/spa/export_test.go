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

// CacheTags caches the entity tags of n versions in an empty cache, and returns how many of
// them it keeps.
func (*Handler) CacheTags(n int) int {
	var tags versions[string]
	for i := range n {
		tags.store(version{size: int64(i)}, "")
	}
	return len(tags.known)
}

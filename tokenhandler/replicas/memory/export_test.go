package memory

// LenReplaced returns how many replaced sessions the list remembers.
func (l *List) LenReplaced() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.replaced)
}

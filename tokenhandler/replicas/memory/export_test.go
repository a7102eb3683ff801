package memory

// LenReplaced returns how many replaced sessions the list remembers.
func (l *List) LenReplaced() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.replaced)
}

// LenOperators returns how much the list remembers of what operators revoked: targets, and
// what the revocations of each amount to.
func (l *List) LenOperators() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.operators.made) + len(l.operators.sessions) + len(l.operators.subjects)
}

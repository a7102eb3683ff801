package memory

import (
	"sync"
	"time"
)

// sweepEvery is how often entries that are over are forgotten.
const sweepEvery = time.Minute

// List is a deny list. It is safe for concurrent use.
type List struct {
	now func() time.Time

	mu       sync.RWMutex
	sessions map[[16]byte]time.Time // session → when the entry may go
	subjects map[string]subject     // sub → its sessions that began before
	swept    time.Time
}

type subject struct {
	before, until time.Time
}

// New returns an empty list; now is the clock.
func New(now func() time.Time) *List {
	return &List{now: now, sessions: make(map[[16]byte]time.Time), subjects: make(map[string]subject)}
}

// Deny ends the session called id. The entry may be forgotten at until.
func (l *List) Deny(id [16]byte, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	if until.After(l.sessions[id]) {
		l.sessions[id] = until
	}
}

// DenySubject ends every session of sub that began before the given moment.
// The entry may be forgotten at until.
func (l *List) DenySubject(sub string, before, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep()
	was := l.subjects[sub]
	if was.before.After(before) {
		before = was.before
	}
	if was.until.After(until) {
		until = was.until
	}
	l.subjects[sub] = subject{before: before, until: until}
}

// Denied reports whether the session was ended.
func (l *List) Denied(id [16]byte, sub string, begun time.Time) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if until, ok := l.sessions[id]; ok && l.now().Before(until) {
		return true
	}
	if s, ok := l.subjects[sub]; ok && begun.Before(s.before) && l.now().Before(s.until) {
		return true
	}
	return false
}

// Len is how many entries there are.
func (l *List) Len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.sessions) + len(l.subjects)
}

// sweep forgets what is over. The caller holds mu.
func (l *List) sweep() {
	now := l.now()
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	for id, until := range l.sessions {
		if !now.Before(until) {
			delete(l.sessions, id)
		}
	}
	for sub, s := range l.subjects {
		if !now.Before(s.until) {
			delete(l.subjects, sub)
		}
	}
}

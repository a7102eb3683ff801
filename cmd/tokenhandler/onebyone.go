package main

import (
	"io"
	"sync"
)

// oneByOne writes what several goroutines write, one write after the other.
type oneByOne struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements [io.Writer]. It waits while the reader stalls.
func (o *oneByOne) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

var _ io.Writer = (*oneByOne)(nil)

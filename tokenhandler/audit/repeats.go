package audit

import (
	"net/netip"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// window is how long events of one group are counted until a record sums them up.
	window = time.Minute
	// maxGroups is how many groups are counted at a time. The events of further clients
	// are summed up without their addresses.
	maxGroups = 100
)

// group is what events have in common that are summed up in one record.
type group struct{ name, cause, client, session string }

// groupOf returns the group of e. The network of a client counts, not its address: a single
// IPv6 customer has more addresses than there is memory.
func groupOf(e *Event) group {
	g := group{name: e.Name, cause: e.Cause, session: e.Session}
	if addr, err := netip.ParseAddr(e.ClientIP); err == nil {
		g.client = web.NetOf(addr).String()
	}
	return g
}

// repeats counts events that anybody can cause without end, so that they cannot fill the
// disk, and none is lost from the counts.
type repeats struct {
	mu     sync.Mutex
	counts map[group]*Event // what the next record of the group says
	timer  *time.Timer      // ends the window; nil while there are no groups
	closed bool
}

// noteRepeated records e if it is the first of its group. Else it counts e: at the end of
// the window, one record has the fields of the last and the number of all.
func (t *Trail) noteRepeated(e Event) {
	r := &t.repeats
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		t.add(e)
		return
	}
	if r.timer == nil {
		r.timer = time.AfterFunc(window, t.sumUp)
	}
	g := groupOf(&e)
	counted, known := r.counts[g]
	if !known && len(r.counts) >= maxGroups {
		e = Event{Name: e.Name, Failed: e.Failed, Anonymous: true, Cause: e.Cause}
		g = groupOf(&e)
		counted, known = r.counts[g]
	} else if !known && t.enqueue(&e) != nil {
		r.counts[g] = &Event{}
		return
	}
	if !known {
		counted = &Event{}
		r.counts[g] = counted
	}
	e.Count, e.Since = counted.Count+1, counted.Since
	if e.Count == 1 {
		e.Since = t.cfg.Now().UTC()
	}
	*counted = e
}

// sumUp records what was counted in the window that ends now.
func (t *Trail) sumUp() { t.recordCounts(false) }

// recordCounts records what was counted. A record that does not fit into the queue waits for
// the end of the next window, unless this is the last.
func (t *Trail) recordCounts(last bool) {
	r := &t.repeats
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = r.closed || last
	for g, counted := range r.counts {
		switch {
		case counted.Count == 0:
			delete(r.counts, g)
		case t.enqueue(counted) != nil:
			*counted = Event{}
		case last:
			t.cfg.Metrics.Dropped.Add(float64(counted.Count))
		}
	}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	if !r.closed && len(r.counts) > 0 {
		r.timer = time.AfterFunc(window, t.sumUp)
	}
}

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
	// maxGroups is how many groups of one event are counted at a time, and maxDeniedGroups
	// how many of [AdminDenied], which fewer clients can cause. The events of further clients
	// are summed up without their addresses.
	maxGroups       = 100
	maxDeniedGroups = 50
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
	counts map[string]groups // by the event's name: who floods with one takes no place of another
	timer  *time.Timer       // ends the window; nil while there are no groups
	closed bool
}

// groups has what the next record of each group of one event says.
type groups map[group]*Event

// groupsOf returns those of an event. The caller holds mu.
func (r *repeats) groupsOf(name string) groups {
	if r.counts[name] == nil {
		r.counts[name] = make(groups)
	}
	return r.counts[name]
}

// takes reports whether events of g are counted by themselves. Half of the places are for
// groups without a session, so that one client with many sessions does not take the
// addresses out of the records of others.
func (s groups) takes(g group) bool {
	if s[g] != nil {
		return true
	}
	most := maxGroups
	if g.name == AdminDenied {
		most = maxDeniedGroups
	}
	if len(s) >= most {
		return false
	}
	if g.session == "" {
		return true
	}
	withSession := 0
	for other := range s {
		if other.session != "" {
			withSession++
		}
	}
	return withSession < most/2
}

// place returns the group of e. If there are too many groups, it does not tell sessions
// apart, and if there are still too many, no clients either: then overflow is true.
func (s groups) place(e *Event) (g group, overflow bool) {
	if g = groupOf(e); s.takes(g) {
		return g, false
	}
	if g.session = ""; s.takes(g) {
		return g, false
	}
	return group{name: e.Name, cause: e.Cause}, true
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
	counts := r.groupsOf(e.Name)
	g, overflow := counts.place(&e)
	counted := counts[g]
	if counted == nil {
		counted = &Event{}
		counts[g] = counted
		if !overflow && t.enqueue(&e) != nil {
			return
		}
	}
	switch {
	case overflow:
		e = Event{Name: e.Name, Failed: e.Failed, Anonymous: true, Cause: e.Cause}
	case g.session != e.Session:
		e.Session, e.Subject = "", ""
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
	for name, counts := range r.counts {
		t.recordGroups(counts, last)
		if len(counts) == 0 {
			delete(r.counts, name)
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

// recordGroups does the work of recordCounts for one event.
func (t *Trail) recordGroups(counts groups, last bool) {
	for g, counted := range counts {
		switch {
		case counted.Count == 0:
			delete(counts, g)
		case t.enqueue(counted) != nil:
			*counted = Event{}
		case last:
			t.cfg.Metrics.Dropped.Add(float64(counted.Count))
		}
	}
}

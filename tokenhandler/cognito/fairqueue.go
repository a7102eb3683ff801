package cognito

import (
	"net/netip"
	"slices"
)

// fairQueue gives each address in turn one call, whatever the number of its calls.
type fairQueue struct {
	n int // calls that wait
	// turns are the addresses with waiting calls, the next one first.
	turns []netip.Prefix
	lists map[netip.Prefix][]*waiter // address → its calls, the first one first
}

func (q *fairQueue) push(w *waiter) {
	if q.lists == nil {
		q.lists = make(map[netip.Prefix][]*waiter)
	}
	if len(q.lists[w.client]) == 0 {
		q.turns = append(q.turns, w.client)
	}
	q.lists[w.client] = append(q.lists[w.client], w)
	q.n++
}

// pop removes and returns the first call of the next address. The queue must not be
// empty.
func (q *fairQueue) pop() *waiter {
	client := q.turns[0]
	q.turns = slices.Delete(q.turns, 0, 1)
	w, rest := q.lists[client][0], q.lists[client][1:]
	q.n--
	if len(rest) == 0 {
		delete(q.lists, client)
		return w
	}
	q.lists[client] = rest
	q.turns = append(q.turns, client)
	return w
}

// remove removes a call. It returns false if the call does not wait here.
func (q *fairQueue) remove(w *waiter) bool {
	list := q.lists[w.client]
	if !removeFrom(&list, w) {
		return false
	}
	q.n--
	if len(list) > 0 {
		q.lists[w.client] = list
		return true
	}
	delete(q.lists, w.client)
	q.turns = slices.DeleteFunc(q.turns, func(client netip.Prefix) bool { return client == w.client })
	return true
}

// ahead returns how many calls go before a new one of client.
func (q *fairQueue) ahead(client netip.Prefix) int {
	own := len(q.lists[client])
	n := own
	for other, list := range q.lists {
		if other != client {
			n += min(len(list), own+1)
		}
	}
	return n
}

// longest returns the largest number of calls that one address has.
func (q *fairQueue) longest() (n int) {
	for _, list := range q.lists {
		n = max(n, len(list))
	}
	return n
}

// dropLongest removes and returns the last call of the address that has the most.
func (q *fairQueue) dropLongest() *waiter {
	var longest []*waiter
	for _, list := range q.lists {
		if len(list) > len(longest) {
			longest = list
		}
	}
	w := longest[len(longest)-1]
	q.remove(w)
	return w
}

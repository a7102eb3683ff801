package storage

import "strconv"

// CountedFolders looks at the counts of n folders, and returns of how many h remembers them.
func CountedFolders(h *Handler, n int) int {
	for i := range n {
		h.ledger.counts.of(strconv.Itoa(i))
	}
	return len(h.ledger.counts.all)
}

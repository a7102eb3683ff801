package storage

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"cognito-token-handler/tokenhandler/web"
)

const (
	// countTimeout bounds the counting of one folder, which goes on if the request that
	// needs it has ended. It is enough for some millions of objects.
	countTimeout = 10 * time.Minute
	// countWait is how long a request waits for a count. It is less than requestTimeout:
	// GET /usage can still show the count before.
	countWait = 15 * time.Second
	// maxCounts bounds the folders whose counts are remembered. Another one costs a count.
	maxCounts = 10_000
)

// stored is a number of bytes in a number of objects.
type stored struct{ bytes, objects int64 }

// counted is what the lists of a folder show.
type counted struct {
	stored

	// claiming is held while a request claims room in the folder.
	claiming *sync.Mutex

	// seen is what of it belongs to claims that were known when the count began: name of
	// the claim → the object under its key, or the parts of its upload.
	seen map[string]stored
	// asOf is when the count began, and ended when it ended. Both are zero without one.
	asOf, ended time.Time
	// changed is the mark of the folder's last deletion or creation when the count began.
	changed string
}

// counts are those of many folders. Counts are not shared by replicas.
type counts struct {
	now func() time.Time
	// counting makes requests of a user wait for the same count.
	counting singleflight.Group

	mu  sync.Mutex
	all map[string]*counted // folder → its newest count
}

func newCounts(now func() time.Time) *counts {
	return &counts{now: now, all: make(map[string]*counted)}
}

// of returns the newest count of a folder, which is not changed any more.
func (c *counts) of(folder string) *counted {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.all[folder]; ok {
		return found
	}
	if len(c.all) >= maxCounts {
		clear(c.all)
	}
	none := &counted{claiming: new(sync.Mutex)}
	c.all[folder] = none
	return none
}

// renew counts a folder, or waits for the count that is under way. The count goes on if
// the request has to stop waiting.
func (c *counts) renew(ctx context.Context, folder string, count func(context.Context, *counted) error) error {
	waiting, cancel := context.WithTimeout(ctx, countWait)
	defer cancel()
	done := c.counting.DoChan(folder, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countTimeout)
		defer cancel()
		next := &counted{claiming: c.of(folder).claiming, asOf: c.now(), seen: make(map[string]stored)}
		if err := count(ctx, next); err != nil {
			return nil, err
		}
		next.ended = c.now()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all[folder] = next
		return nil, nil
	})
	select {
	case result := <-done:
		return result.Err
	case <-waiting.Done():
		return web.NewProblem(web.CodeUpstreamTimeout, "the folder is being counted; try again later", waiting.Err()).RetryAfter(retryAfter)
	}
}

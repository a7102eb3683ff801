package valkey

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/replicas"
)

const (
	// followFor is how long one question to the stream waits for news.
	followFor = time.Second
	// followGrace is how much longer the answer may take: servers look for waits
	// that are over ten times a second.
	followGrace = 500 * time.Millisecond
	// readCount is how many records are read at once: some 100 KB.
	readCount = 500
	// sendCount is how many entries one script adds, or leases it gives back: few,
	// so that it is short.
	sendCount = 50
	// streamStart is before every record.
	streamStart = "0-0"
)

// Revoke ends sessions: in this process at once, in the others as soon as the
// store has the entry. If it cannot be reached the entry is kept and delivered
// later. The only error is that of a malformed entry.
func (s *Store) Revoke(ctx context.Context, e replicas.Revocation) error {
	r, err := encode(e)
	if err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	if _, err := s.local.Add(e); err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	s.metrics.Entries.Set(float64(s.local.Len()))
	s.keep(map[record]time.Time{r: e.Until})
	_ = s.send(ctx, []record{r}) // else it is pending
	return nil
}

// Pending is how many revocations the store does not have yet.
func (s *Store) Pending() int {
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	return len(s.pending)
}

// keep makes records pending until they are sent; the time is when each is over.
func (s *Store) keep(records map[record]time.Time) {
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	maps.Copy(s.pending, records)
	s.metrics.Pending.Set(float64(len(s.pending)))
}

// waiting returns some pending records, and forgets those that are over.
func (s *Store) waiting() []record {
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	now := s.now()
	var records []record
	for r, until := range s.pending {
		switch {
		case !now.Before(until):
			delete(s.pending, r)
		case len(records) < sendCount:
			records = append(records, r)
		}
	}
	s.metrics.Pending.Set(float64(len(s.pending)))
	return records
}

// send adds records to the stream; then they are not pending any more.
func (s *Store) send(ctx context.Context, records []record) error {
	var args []string
	for _, r := range records {
		args = append(args, r.fields()...)
	}
	if _, err := s.call(ctx, s.scripts.revoke, nil, args...); err != nil {
		return err
	}
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	for _, r := range records {
		delete(s.pending, r)
	}
	s.metrics.Pending.Set(float64(len(s.pending)))
	return nil
}

// sendPending sends what is pending, until there is nothing or the store fails.
func (s *Store) sendPending(ctx context.Context) error {
	for {
		records := s.waiting()
		if len(records) == 0 {
			return nil
		}
		if err := s.send(ctx, records); err != nil {
			return err
		}
	}
}

// follow reads the deny list from its start and then what is added, until ctx
// ends or the store fails. When the store begins a new life it starts again.
func (s *Store) follow(ctx context.Context, l *link) error {
	last := streamStart
	for {
		life, todo := s.unread()
		if todo {
			var err error
			if last, err = s.replay(ctx, l, life); err != nil {
				return err
			}
			continue
		}
		entries, err := s.read(ctx, l, last, true)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			last = entry.ID
			if life, ok := entry.FieldValues["store"]; ok {
				s.observe(life)
			}
		}
		s.takeUp(ctx, entries)
		s.hear(life)
	}
}

// replay reads the whole list of a life of the store, and adds to it what only
// this process knows. Leases come first: others wait for them.
func (s *Store) replay(ctx context.Context, l *link, life string) (last string, err error) {
	if err := s.restoreLeases(ctx); err != nil {
		return "", err
	}
	last = streamStart
	seen := make(map[record]bool)
	for {
		entries, err := s.read(ctx, l, last, false)
		if err != nil {
			return "", err
		}
		if len(entries) == 0 {
			break
		}
		last = entries[len(entries)-1].ID
		for _, r := range s.takeUp(ctx, entries) {
			seen[r] = true
		}
	}
	missing := make(map[record]time.Time)
	for _, e := range s.local.Entries() {
		if r, err := encode(e); err == nil && !seen[r] {
			missing[r] = e.Until
		}
	}
	s.keep(missing)
	if err := s.sendPending(ctx); err != nil {
		return "", err
	}
	s.hear(life)
	return last, nil
}

// read asks the stream for what comes after a record. To wait for news it uses
// the connection that is kept for it.
func (s *Store) read(ctx context.Context, l *link, after string, wait bool) ([]valkey.XRangeEntry, error) {
	question := l.client.B().Xread().Count(readCount)
	bound := commandTimeout
	var command valkey.Completed
	if wait {
		bound = followFor + followGrace
		command = question.Block(followFor.Milliseconds()).Streams().Key(deniedKey).Id(after).Build()
	} else {
		command = question.Streams().Key(deniedKey).Id(after).Build()
	}
	bounded, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	start := s.now()
	answer, err := l.client.Do(bounded, command).AsXRead()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := s.judge(l, "follow", start, err); err != nil {
		s.lose(l, err) // whatever it is: the list is not followed
		return nil, err
	}
	return answer[deniedKey], nil
}

// takeUp adds what the stream holds to the list of this process and returns it.
func (s *Store) takeUp(ctx context.Context, entries []valkey.XRangeEntry) []record {
	var records []record
	strange := 0
	for _, entry := range entries {
		if _, ok := entry.FieldValues["store"]; ok {
			continue // a life of the store begins; in a replay, perhaps one that is over
		}
		e, err := decode(entry.FieldValues)
		if err != nil {
			strange++
			continue
		}
		if s.now().Before(e.Until) {
			_, _ = s.local.Add(e) // checked by decode
		}
		r, _ := encode(e) // what was decoded can be encoded
		records = append(records, r)
	}
	s.metrics.Entries.Set(float64(s.local.Len()))
	if strange > 0 {
		s.log.WarnContext(ctx, "shared store holds revocations that are not understood", "count", strange)
	}
	return records
}

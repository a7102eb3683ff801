package valkey

import (
	"context"
	"fmt"
	"maps"
	"time"

	"cognito-token-handler/tokenhandler/replicas"
)

// batch is how many revocations one script adds, or leases it gives back. It is small
// so that no script keeps the server busy.
const batch = 50

// Revoke ends sessions: in this process at once, in the others as soon as the store
// has the revocation. It covers every session that has begun, see [memory.List.Cover].
// During an outage the revocation is kept and delivered later. The
// only error is that of a malformed revocation.
func (s *Store) Revoke(ctx context.Context, revocation replicas.Revocation) error {
	revocation = s.local.Cover(revocation, true)
	r, err := encode(revocation)
	if err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	if _, err := s.local.Add(revocation); err != nil {
		return fmt.Errorf("revoking: %w", err)
	}
	s.metrics.Entries.Set(float64(s.local.Len()))
	s.addPending(map[record]time.Time{r: revocation.Until})
	_ = s.send(ctx, []record{r}) // if it fails, the revocation stays pending
	return nil
}

// ended makes an entry pending that this process's list has made by itself. The next beat
// delivers it.
func (s *Store) ended(e replicas.Revocation) {
	if r, err := encode(e); err == nil {
		s.addPending(map[record]time.Time{r: e.Until})
	}
}

// Pending returns the number of revocations that the store does not have yet.
func (s *Store) Pending() int {
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	return len(s.pending)
}

// addPending makes records pending until they are sent or end. The times are when
// they end.
func (s *Store) addPending(records map[record]time.Time) {
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	maps.Copy(s.pending, records)
	s.metrics.Pending.Set(float64(len(s.pending)))
}

// nextPending returns some pending records, and forgets those that have ended.
func (s *Store) nextPending() []record {
	s.pendingMu.Lock()
	defer s.pendingMu.Unlock()
	now := s.now()
	var records []record
	for r, until := range s.pending {
		switch {
		case !now.Before(until):
			delete(s.pending, r)
		case len(records) < batch:
			records = append(records, r)
		}
	}
	s.metrics.Pending.Set(float64(len(s.pending)))
	return records
}

// send adds records to the stream, after which they are no longer pending.
func (s *Store) send(ctx context.Context, records []record) error {
	var args []string
	for _, r := range records {
		fields, err := r.fields(s.sealer)
		if err != nil {
			return err
		}
		args = append(args, fields...)
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

// sendPending sends all pending records.
func (s *Store) sendPending(ctx context.Context) error {
	for {
		records := s.nextPending()
		if len(records) == 0 {
			return nil
		}
		if err := s.send(ctx, records); err != nil {
			return err
		}
	}
}

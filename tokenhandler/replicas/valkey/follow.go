package valkey

import (
	"context"
	"time"

	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/replicas"
)

const (
	// beatEvery is how often a replica checks that the store takes writes.
	beatEvery = 500 * time.Millisecond
	// followGrace is how much longer than asked for the server may wait for news:
	// it looks for waits that have ended ten times a second.
	followGrace = 500 * time.Millisecond
	// readCount is how many records are read at once: about 100 KB.
	readCount = 500
	// streamStart comes before the id of every record.
	streamStart = "0-0"
)

// follow reads the deny list over a connection of its own, from the start and then
// whatever is added, until ctx ends or the store fails. Every [beatEvery] it also
// checks that the store takes writes, and delivers what failed calls have left behind.
// It reports whether it got as far as reading, and why it ended.
func (s *Store) follow(ctx context.Context, c *connection) (progress bool, err error) {
	stream, release := c.client.Dedicate()
	defer release()
	var next time.Time
	for {
		if !s.now().Before(next) {
			next = s.now().Add(beatEvery)
			if err := s.beat(ctx, c); err != nil {
				return progress, err
			}
			if err := s.identify(ctx, c, stream); err != nil {
				return progress, err
			}
		}
		entries, err := s.read(ctx, stream, c.last, max(next.Sub(s.now()), time.Millisecond))
		if err != nil {
			return progress, err
		}
		progress = true
		for _, entry := range entries {
			c.last = entry.ID
			if _, ok := entry.FieldValues["store"]; ok {
				next = time.Time{} // a new incarnation of the store begins
			}
		}
		s.adopt(ctx, entries)
		s.streamRead(c.incarnation)
	}
}

// beat makes one write over the connection that calls use, which reports that this
// replica is there, and then delivers the revocations and gives back the leases of calls
// that failed.
func (s *Store) beat(ctx context.Context, c *connection) error {
	if err := s.reportWithin(ctx, c); err != nil {
		return err
	}
	if s.connected(c) {
		s.log.InfoContext(ctx, "shared store connected")
	}
	s.metrics.Entries.Set(float64(s.local.Len()))
	if err := s.releaseAbandoned(ctx); err != nil {
		return err
	}
	return s.sendPending(ctx)
}

// reportWithin is report within [commandTimeout].
func (s *Store) reportWithin(ctx context.Context, c *connection) error {
	ctx, cancel := context.WithTimeoutCause(ctx, commandTimeout, errTimeout)
	defer cancel()
	return s.report(ctx, c)
}

// report reports this replica, and learns which others there are. A process that has left
// reports no more.
func (s *Store) report(ctx context.Context, c *connection) error {
	if s.left.Load() {
		_, _, err := s.run(ctx, c.client, s.scripts.leave, []string{membersKey}, []string{s.name})
		return err
	}
	args := append([]string{s.name, s.restoredIn(), milliseconds(memberTime)}, s.members.arguments(s.now())...)
	told, _, err := s.run(ctx, c.client, s.scripts.beat, []string{membersKey}, args)
	if err == nil && len(told) > 0 {
		s.members.learn(told[0], told[1:], s.now())
	}
	return err
}

// identify asks over the stream's connection which incarnation of the store it
// reaches, and reads the whole deny list if that is another one than before. It
// returns an error if the calls reach another server than the stream does, as after a
// failover that left one of the connections with the old server.
func (s *Store) identify(ctx context.Context, c *connection, stream valkey.DedicatedClient) error {
	bounded, cancel := context.WithTimeoutCause(ctx, commandTimeout, errTimeout)
	defer cancel()
	calls, start := s.incarnation(), s.now()
	answer, err := s.scripts.follow.eval(bounded, stream, nil, nil)
	if _, err := s.judge(bounded, s.scripts.follow.operation, start, err); err != nil {
		return err
	}
	switch found := answer[0]; found {
	case c.incarnation:
		if calls != found {
			return errTwoServers
		}
		return nil
	default:
		s.observe(found)
		return s.replay(ctx, c, stream, found)
	}
}

// replay reads the whole deny list of an incarnation of the store, and adds what only
// this process knows. Leases come first, because their sessions wait for them.
func (s *Store) replay(ctx context.Context, c *connection, stream valkey.DedicatedClient, found string) error {
	if err := s.restoreLeases(ctx); err != nil {
		return err
	}
	last := streamStart
	seen := make(map[record]bool)
	reported := s.now()
	for {
		if s.now().Sub(reported) > beatEvery { // else a long list would look like an outage to the store
			reported = s.now()
			if err := s.reportWithin(ctx, c); err != nil {
				return err
			}
		}
		entries, err := s.read(ctx, stream, last, 0)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		last = entries[len(entries)-1].ID
		for _, r := range s.adopt(ctx, entries) {
			seen[r] = true
		}
	}
	missing := make(map[record]time.Time)
	for _, e := range s.local.Records() {
		if r, err := encode(e); err == nil && !seen[r] {
			missing[r] = e.Until
		}
	}
	s.addPending(missing)
	if err := s.sendPending(ctx); err != nil {
		return err
	}
	c.incarnation, c.last = found, last
	s.streamRead(found)
	return nil
}

// read returns the records of the stream that come after the given one. If there are
// none it waits for that long; zero is not at all.
func (s *Store) read(ctx context.Context, stream valkey.DedicatedClient, after string, wait time.Duration) ([]valkey.XRangeEntry, error) {
	bound := commandTimeout
	command := stream.B().Xread().Count(readCount).Streams().Key(deniedKey).Id(after).Build()
	if wait > 0 {
		bound = wait + followGrace
		command = stream.B().Xread().Count(readCount).Block(max(wait.Milliseconds(), 1)).Streams().Key(deniedKey).Id(after).Build()
	}
	bounded, cancel := context.WithTimeoutCause(ctx, bound, errTimeout)
	defer cancel()
	start := s.now()
	answer, err := stream.Do(bounded, command).AsXRead()
	if _, err := s.judge(bounded, s.scripts.follow.operation, start, err); err != nil {
		return nil, err
	}
	return answer[deniedKey], nil
}

// adopt adds the revocations of stream entries to the list of this process and
// returns their records.
func (s *Store) adopt(ctx context.Context, entries []valkey.XRangeEntry) []record {
	var records []record
	malformed := 0
	for _, entry := range entries {
		if _, ok := entry.FieldValues["store"]; ok {
			continue // the beginning of an incarnation, see [incarnation]
		}
		e, err := decode(s.sealer, entry.FieldValues)
		if err != nil {
			malformed++
			continue
		}
		if s.now().Before(e.Until) {
			_, _ = s.local.Add(e) // decode has checked it
		}
		if e.Kind == replicas.KindSession {
			e.Before = time.Time{} // [memory.List.Entries] does not tell it
		}
		r, _ := encode(e) // what was decoded can be encoded
		records = append(records, r)
	}
	s.metrics.Entries.Set(float64(s.local.Len()))
	if malformed > 0 {
		s.log.WarnContext(ctx, "shared store holds revocations that are not understood", "count", malformed)
	}
	return records
}

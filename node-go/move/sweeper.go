package move

import (
	"context"
	"log/slog"
	"time"

	"kvorum/node/clock"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	"kvorum/node/kverr"
)

const (
	// sweepKeys and sweepBytes bound the keys of one entry.
	sweepKeys  = 1024
	sweepBytes = 64 << 10
	// sweepRest follows each entry: nobody waits for a sweep, and clients wait for the disk.
	sweepRest = 10 * time.Millisecond
	// sweepRetry follows a failure.
	sweepRetry = time.Second
)

// Sweeper deletes the keys of released partitions, a few at a time, as long as this node leads. What is released it finds in
// the state machine: after a restart or another change of leader the next one goes on.
type Sweeper struct {
	Shard Shard
	Clock clock.Clock
	Log   *slog.Logger
}

// Run returns when ctx ends, which is when the leadership does.
func (s *Sweeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		changed := s.Shard.Changed()
		released := releasedOf(s.Shard.Partitions())
		if len(released) == 0 {
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		if err := s.sweep(ctx, released); err != nil && ctx.Err() == nil {
			s.Log.Warn("a sweep has failed, and begins anew", "error", err)
			// Its only error is the end of ctx, which ends the loop too.
			_ = clock.Wait(ctx, s.Clock, sweepRetry)
		}
	}
}

// releasedOf are the partitions to be swept, and the epoch of each.
func releasedOf(holdings *[fsmcommand.Partitions]fsm.Holding) map[uint16]uint64 {
	released := map[uint16]uint64{}
	if holdings == nil {
		return released
	}
	for number, h := range holdings {
		if h.State == fsm.Released {
			released[uint16(number)] = h.Epoch
		}
	}
	return released
}

// sweep deletes what is there, then says that nothing is. Nothing comes to a partition while it is released, and the epochs say
// that it has been so all the time.
func (s *Sweeper) sweep(ctx context.Context, released map[uint16]uint64) error {
	m := &command.SweepRecords{}
	bytes, count := 0, 0
	var failed error
	send := func() bool {
		if failed = s.propose(ctx, m); failed == nil {
			failed = clock.Wait(ctx, s.Clock, sweepRest)
		}
		m, bytes = &command.SweepRecords{}, 0
		return failed == nil
	}
	wanted := func(partition uint16) bool { _, is := released[partition]; return is }
	err := s.Shard.Keys(wanted, func(key []byte) bool {
		m.Keys = append(m.Keys, append([]byte(nil), key...))
		bytes += len(key) + recordBytes
		count++
		return len(m.Keys) < sweepKeys && bytes < sweepBytes || send()
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	for number, epoch := range released {
		m.Swept = append(m.Swept, &command.SweptPartitions{First: uint32(number), Last: uint32(number), Epoch: epoch})
	}
	if err := s.propose(ctx, m); err != nil {
		return err
	}
	s.Log.Info("swept released partitions", "partitions", len(released), "keys", count)
	return nil
}

func (s *Sweeper) propose(ctx context.Context, m *command.SweepRecords) error {
	c := &command.Command{Kind: &command.Command_Sweep{Sweep: m}}
	// Compared as what it is: a nil *kverr.Error is no nil error.
	var refused *kverr.Error
	if refused = s.Shard.Propose(ctx, c, s.Clock.Now().Add(proposeLimit)).Err; refused != nil {
		return refused
	}
	return nil
}

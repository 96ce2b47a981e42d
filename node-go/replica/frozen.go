package replica

import (
	"context"
	"time"

	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	"kvorum/node/kverr"
)

// frozenSeams refuses writes to frozen partitions before they cost an entry: while a partition moves its writers ask again
// every few ms, and each of these entries would be three fsyncs. It asks by the log time that an entry would have, so that the
// write with which a freeze ends by itself does go into the log.
type frozenSeams struct {
	refuse  func(write *command.Write, logTimeMs uint64) *kverr.Error
	logTime func() uint64
	write   func(ctx context.Context, batch *command.WriteBatch, deadline time.Time, hold *Hold) []fsm.Result
}

func (s frozenSeams) answer(ctx context.Context, batch *command.WriteBatch, deadline time.Time, hold *Hold) []fsm.Result {
	now := s.logTime()
	results := make([]fsm.Result, len(batch.Writes))
	// The sessions stay: writes name them by their positions.
	rest := &command.WriteBatch{Sessions: batch.Sessions}
	var positions []int
	for i, write := range batch.Writes {
		if results[i].Err = s.refuse(write, now); results[i].Err == nil {
			rest.Writes = append(rest.Writes, write)
			positions = append(positions, i)
		}
	}
	if len(positions) == 0 {
		return results
	}
	for n, result := range s.write(ctx, rest, deadline, hold) {
		results[positions[n]] = result
	}
	return results
}

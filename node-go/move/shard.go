// Package move takes partitions from one shard to another while both serve. DESIGN.md has the protocol and why it is safe; the
// states that it relies on are the state machine's (fsm).
package move

import (
	"context"
	"time"

	"kvorum/node/clock"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

// Shard is this node's replica. *replica.Replica is the real one.
type Shard interface {
	// Propose proposes a command in an entry of its own, which follows everything that was proposed before.
	Propose(ctx context.Context, c *command.Command, deadline time.Time) fsm.Result
	// Leading is a context that ends with this leadership, or why this node does not lead.
	Leading() (context.Context, *kverr.Error)
	// Partitions is what the state machine knows here and now; nil while it is being restored.
	Partitions() *[fsmcommand.Partitions]fsm.Holding
	// Changed closes at the next change of the above, among others. Take it before Partitions.
	Changed() <-chan struct{}
	// Keys calls fn with the keys of some partitions as they are when it is called, until fn returns false.
	Keys(wanted func(partition uint16) bool, fn func(key []byte) bool) error
}

// Giver is the shard that partitions come from.
type Giver interface {
	// Step has its leader propose a step, and asks again until there is an answer or ctx ends: a step that was done before
	// is done. Only a refusal of the state machine has the outcome NOT_APPLIED for certain.
	Step(ctx context.Context, m *nodev1.MoveRequest) *kverr.Error
	// Export opens a stream that ends with ctx.
	Export(ctx context.Context, x *nodev1.ExportRequest) (Stream, *kverr.Error)
	Close()
}

// Stream is an Export.
type Stream interface {
	Recv() (*nodev1.ExportResponse, error)
}

const (
	// entryBytes bounds an entry of records, and so a message of an export: each becomes one entry.
	entryBytes = 512 << 10
	// recordBytes bounds what a record adds beside its key and value.
	recordBytes = 32
	// proposeLimit is how long an entry of a move may take to commit.
	proposeLimit = 10 * time.Second
)

// rangesOf is a request's ranges as a command has them.
func rangesOf(ranges []*nodev1.PartitionRange) []*command.PartitionRange {
	list := make([]*command.PartitionRange, len(ranges))
	for i, r := range ranges {
		list[i] = &command.PartitionRange{First: r.GetFirst(), Last: r.GetLast()}
	}
	return list
}

// Command is a request's step as a command.
func Command(m *nodev1.MoveRequest) *command.Command {
	return &command.Command{Kind: &command.Command_Move{Move: &command.MovePartitions{
		// Both lists have the same numbers; what is not in the command's is refused there.
		Step: command.MovePartitions_Step(m.GetStep()), Epoch: m.GetEpoch(),
		Partitions: rangesOf(m.GetPartitions()), FreezeMs: m.GetFreezeMs(),
	}}}
}

// within is a context that ends after d.
func within(ctx context.Context, c clock.Clock, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	timer := c.AfterFunc(d, cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}

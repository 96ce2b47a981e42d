package replica

import (
	"context"
	"time"

	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	"kvorum/node/kverr"
)

// What the movement of partitions needs of a replica, beside Propose (node-go/move).

// Leading is a context that ends with this leadership, or why this node does not lead.
func (r *Replica) Leading() (context.Context, *kverr.Error) {
	s, _ := r.leadership.tenure()
	if s == nil || !r.leadership.isReady() {
		return nil, notLeader(r.hint())
	}
	return s.ctx, nil
}

// Partitions is what the state machine knows here and now; nil while it is being restored.
func (r *Replica) Partitions() *[fsmcommand.Partitions]fsm.Holding { return r.fsm.Partitions() }

// Changed closes at the next change of the status or of a partition's state. Take it before Partitions.
func (r *Replica) Changed() <-chan struct{} { return r.changed.Next() }

// Keys walks the keys of partitions as they are here and now.
func (r *Replica) Keys(wanted func(partition uint16) bool, fn func(key []byte) bool) error {
	return r.fsm.Keys(wanted, fn)
}

// Export begins an export of what every earlier leader has acknowledged. The caller closes it.
func (r *Replica) Export(ctx context.Context, epoch uint64, ranges []*command.PartitionRange, deadline time.Time) (*fsm.Export, *kverr.Error) {
	if err := r.Confirm(ctx, deadline); err != nil {
		return nil, err
	}
	x, err := r.fsm.Export(epoch, ranges)
	if err == nil {
		// Between two entries time goes on: what is left must not count from the last one, which may be hours ago.
		x.Now = r.LogTimeMs
	}
	return x, err
}

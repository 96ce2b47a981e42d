package fsm

import (
	"fmt"
	"math"

	"github.com/hashicorp/raft"

	"kvorum/node/engine"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Apply carries one committed entry out, as one batch of the engine, and answers *Applied. It does not return before
// Close if that cannot be done.
func (f *FSM) Apply(entry *raft.Log) any {
	if f.hasStopped() {
		return f.fatal(entry.Index, nil)
	}
	if entry.Index <= f.state.applied {
		return f.skip(entry)
	}
	// The engine must never hold what this node's log may lose.
	if err := f.options.AwaitDurable(entry.Index); err != nil {
		return f.fatal(entry.Index, fmt.Errorf("entry %d is not durable: %w", entry.Index, err))
	}
	c, err := f.decoder.Decode(entry.Data, f.options.FormatMax)
	if err != nil {
		return f.fatal(entry.Index, fmt.Errorf("entry %d: %w", entry.Index, err))
	}
	if c.GetRaise() == nil && c.GetFormat() > uint32(f.state.head.format) {
		return f.fatal(entry.Index, kverr.Unknown(errpb.ErrorCode_ERROR_CODE_CORRUPT,
			"entry %d has format %d, and the shard was raised to %d only", entry.Index, c.GetFormat(), f.state.head.format))
	}
	applied, err := f.apply(entry, c)
	if err != nil {
		return f.fatal(entry.Index, fmt.Errorf("apply entry %d: %w", entry.Index, err))
	}
	return applied
}

// apply changes f.state before the engine has the batch. That is safe because a failure of the engine is fatal.
func (f *FSM) apply(entry *raft.Log, c *pb.Command) (*Applied, error) {
	s := f.state
	f.batch.Reset(entry.Index)
	f.soonest = math.MaxUint64
	s.head.logTimeMs = max(s.head.logTimeMs, c.GetStampMs())
	s.head.index, s.head.term = entry.Index, entry.Term
	f.batch.Put(engine.Record{Key: headKey, Value: s.head.encode()})
	thawed := f.thaw()

	applied := &Applied{Index: entry.Index}
	changed, err := f.run(c, applied)
	if err != nil {
		return nil, err
	}
	s.sessions.expire(s.head.logTimeMs, f.batch)
	s.sessions.flush(f.batch)
	leased := s.leases.flush(f.batch)
	if err := f.commit(entry.Index, thawed || changed); err != nil {
		return nil, err
	}
	f.logTimeMs.Store(s.head.logTimeMs)
	if thawed || changed {
		// What was left alone may be due.
		f.soonest = 0
	}
	if leased || thawed || changed {
		next := s.nextLease()
		f.leaseDue.Store(next)
		f.soonest = min(f.soonest, next)
	}
	f.alarm.ring(f.soonest)
	f.format.Store(uint32(s.head.format))
	f.progress.advance(entry.Index)
	return applied, nil
}

// commit gives the batch to the engine, then lets readers and exports see what it has done. An export begins before or
// after that, never in the middle: between its view and what it is told afterwards nothing is missing.
func (f *FSM) commit(index uint64, ownership bool) error {
	f.exports.mu.Lock()
	defer f.exports.mu.Unlock()
	// Never false while the engine holds such a key.
	attached := len(f.state.leases.of) > 0
	if attached {
		f.attached.Store(true)
	}
	if err := f.engine.Apply(f.batch); err != nil {
		return err
	}
	f.attached.Store(attached)
	f.state.applied = index
	// Readers compare the table before and after they read the engine (Get): it must not change before the engine does.
	if ownership {
		f.table.Store(f.state.table())
	}
	f.exports.observe(f.batch, f.state, ownership)
	f.tell(index)
	return nil
}

// run fills the batch and the answer, and says whether ownership changed. Its errors are the engine's.
func (f *FSM) run(c *pb.Command, applied *Applied) (changed bool, err error) {
	switch kind := c.GetKind().(type) {
	case *pb.Command_Write:
		applied.Results, err = f.write(kind.Write)
		return false, err
	case *pb.Command_Assign:
		changed, applied.Err = f.assign(kind.Assign)
	case *pb.Command_Move:
		changed, applied.Err = f.move(kind.Move)
		applied.Already = !changed && applied.Err == nil
	case *pb.Command_Import:
		changed, applied.Err = f.importRecords(kind.Import)
	case *pb.Command_Sweep:
		changed, applied.Err = f.sweep(kind.Sweep)
	case *pb.Command_Expire:
		applied.Already, err = f.expire(kind.Expire)
	case *pb.Command_Raise:
		applied.Already = !f.raise(kind.Raise)
	default:
		panic(fmt.Sprintf("command.Decode let %T pass", kind))
	}
	return changed, err
}

// raise is for good: rows and commands of the new format may follow.
func (f *FSM) raise(raise *pb.RaiseFormat) bool {
	head := &f.state.head
	if raise.GetFormat() <= uint32(head.format) {
		return false
	}
	head.format = uint8(raise.GetFormat())
	f.batch.Put(engine.Record{Key: headKey, Value: head.encode()})
	return true
}

// skip passes over an entry that the engine holds already. If it is the newest one that the engine holds, it must be
// the very same: otherwise this log was never the engine's (lost, or of another node), and going on would hide that.
func (f *FSM) skip(entry *raft.Log) *Applied {
	if h := f.state.head; entry.Index == h.index && entry.Term != h.term {
		return f.fatal(entry.Index, kverr.Unknown(errpb.ErrorCode_ERROR_CODE_CORRUPT,
			"entry %d has term %d in the log, but was applied with term %d: the log is not the one this data came from",
			entry.Index, entry.Term, h.term))
	}
	return skipped(entry.Index)
}

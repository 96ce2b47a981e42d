package fsm

import (
	"kvorum/node/engine"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// FreezeMsMax bounds what a freeze may ask for. It belongs to the command's format.
const FreezeMsMax = 60_000

// verdict is what a step means for one partition.
type verdict int

const (
	never verdict = iota
	already
	due
)

// move carries out one step of a move, for all of its partitions or for none (node-go/move/DESIGN.md).
func (f *FSM) move(m *pb.MovePartitions) (changed bool, err *kverr.Error) {
	wanted, err := expand(m.GetPartitions())
	if err == nil {
		err = checkMove(m)
	}
	if err != nil {
		return false, err
	}
	var next [len(wanted)]Ownership
	var todo numbers
	for number, want := range wanted {
		if !want {
			continue
		}
		p := &f.state.partitions[number]
		to, verdict := p.after(m.GetStep(), m.GetEpoch())
		if verdict == never {
			return false, f.notNow(m, number, p.Holding)
		}
		next[number], todo[number] = to, verdict == due
		changed = changed || todo[number]
	}
	if !changed {
		return false, nil
	}
	until := f.state.head.logTimeMs + uint64(m.GetFreezeMs())
	for number := range todo {
		if todo[number] {
			f.state.partitions[number].until = until
			f.become(number, Holding{State: next[number], Epoch: m.GetEpoch()})
		}
	}
	f.state.thawMs = f.state.nextThaw()
	if step := m.GetStep(); step == pb.MovePartitions_STEP_RELEASE || step == pb.MovePartitions_STEP_ACTIVATE {
		f.reach(m.GetEpoch())
	}
	return true, nil
}

func checkMove(m *pb.MovePartitions) *kverr.Error {
	switch {
	case m.GetEpoch() == 0 || len(m.GetPartitions()) == 0:
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a move needs an epoch above 0, and partitions")
	case m.GetStep() == pb.MovePartitions_STEP_FREEZE && (m.GetFreezeMs() == 0 || m.GetFreezeMs() > FreezeMsMax):
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
			"a freeze lasts 1 to %d ms, not %d", FreezeMsMax, m.GetFreezeMs())
	default:
		return nil
	}
}

// after says what a step makes of a partition. A row with the move's epoch says how far the move has got here; one with a
// smaller epoch knows nothing of it yet; one with a greater epoch is past it, whatever the step.
func (p *partition) after(step pb.MovePartitions_Step, epoch uint64) (Ownership, verdict) {
	if p.Epoch > epoch {
		return 0, never
	}
	know, state := p.Epoch == epoch, p.State
	switch step {
	case pb.MovePartitions_STEP_IMPORT:
		return Importing, choose(!know && state == None, know && (state == Importing || state == Imported))
	case pb.MovePartitions_STEP_FREEZE:
		return Frozen, choose(!know && state == Owned, know && state == Frozen)
	case pb.MovePartitions_STEP_THAW:
		return Owned, choose(know && state == Frozen || !know && state == Owned, know && state == Owned)
	case pb.MovePartitions_STEP_RELEASE:
		return Released, choose(know && state == Frozen, know && (state == Released || state == None))
	case pb.MovePartitions_STEP_ACTIVATE:
		return Owned, choose(know && state == Imported, know && state == Owned)
	case pb.MovePartitions_STEP_DISCARD:
		if !know && state == None {
			return None, due
		}
		return Released, choose(know && (state == Importing || state == Imported), know && (state == Released || state == None))
	default:
		return 0, never
	}
}

func choose(isDue, isDone bool) verdict {
	switch {
	case isDue:
		return due
	case isDone:
		return already
	default:
		return never
	}
}

func (f *FSM) notNow(m *pb.MovePartitions, number int, holding Holding) *kverr.Error {
	err := kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
		"%s in epoch %d: partition %d of shard %d is in state %d since epoch %d",
		m.GetStep(), m.GetEpoch(), number, f.options.Shard, holding.State, holding.Epoch)
	err.Epoch = holding.Epoch
	return err
}

// become changes what a partition is, and writes its row.
func (f *FSM) become(number int, holding Holding) {
	p := &f.state.partitions[number]
	f.held(number, p.Holding, holding)
	p.Holding = holding
	if holding.State != Frozen {
		p.until = 0
	}
	f.batch.Put(engine.Record{Key: partitionKey(number), Value: p.encode()})
}

// reach notes that ownership has changed in an epoch. Moves may end in another order than that of their epochs.
func (f *FSM) reach(epoch uint64) {
	if epoch > f.state.epoch {
		f.state.epoch = epoch
		f.batch.Put(engine.Record{Key: ownershipKey, Value: encodeOwnership(epoch)})
	}
}

// thaw ends the freezes whose time is over, ahead of whatever the entry does. It is final for their epochs: a release that
// comes later is refused.
func (f *FSM) thaw() bool {
	s := f.state
	if s.thawMs == 0 || s.head.logTimeMs < s.thawMs {
		return false
	}
	for number := range s.partitions {
		if p := &s.partitions[number]; p.State == Frozen && p.until <= s.head.logTimeMs {
			f.become(number, Holding{State: Owned, Epoch: p.Epoch})
		}
	}
	s.thawMs = s.nextThaw()
	return true
}

// nextThaw is the log time at which the first freeze ends, 0 when nothing is frozen.
func (s *state) nextThaw() uint64 {
	first := uint64(0)
	for number := range s.partitions {
		if p := &s.partitions[number]; p.State == Frozen && (first == 0 || p.until < first) {
			first = p.until
		}
	}
	return first
}

package fsm

import (
	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// assign makes a shard that has never had anything the owner of the given partitions, possibly of none. From then on they
// only move: an assignment that took one away would leave its keys behind, for an import to find them again, and one
// that gave one would not know whether somebody else still owns it.
func (f *FSM) assign(a *pb.AssignPartitions) (changed bool, refused *kverr.Error) {
	wanted, refused := expand(a.GetOwned())
	if refused != nil {
		return false, refused
	}
	s := f.state
	switch epoch := a.GetEpoch(); {
	case epoch == 0:
		return false, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "an assignment needs an epoch above 0")
	case epoch == s.epoch && s.ownsExactly(wanted):
		return false, nil // done already
	case !s.pristine():
		refused = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
			"shard %d has had partitions, and last changed ownership in epoch %d: they can only be moved", f.options.Shard, s.epoch)
		refused.Epoch = s.epoch
		return false, refused
	}
	s.epoch = a.GetEpoch()
	f.batch.Put(engine.Record{Key: ownershipKey, Value: encodeOwnership(s.epoch)})
	for number, want := range wanted {
		if want {
			f.become(number, Holding{State: Owned, Epoch: s.epoch})
		}
	}
	return true, nil
}

// pristine says that ownership has never changed and no move has ever touched a partition.
func (s *state) pristine() bool {
	for number := range s.partitions {
		if s.partitions[number].Holding != (Holding{}) {
			return false
		}
	}
	return s.epoch == 0
}

func (s *state) ownsExactly(wanted *numbers) bool {
	for number, want := range wanted {
		if state := s.partitions[number].State; want != (state == Owned) || !want && state != None {
			return false
		}
	}
	return true
}

// numbers is a set of partitions.
type numbers [command.Partitions]bool

func (n *numbers) set() (s partitionSet) {
	for number, is := range n {
		if is {
			s.add(uint16(number))
		}
	}
	return s
}

// expand turns ranges into a set. Ranges that overlap are refused: somebody has miscounted.
func expand(ranges []*pb.PartitionRange) (*numbers, *kverr.Error) {
	wanted := new(numbers)
	for _, r := range ranges {
		first, last := r.GetFirst(), r.GetLast()
		if first > last || last >= command.Partitions {
			return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
				"partitions %d to %d: not a range within 0 to %d", first, last, command.Partitions-1)
		}
		for number := first; number <= last; number++ {
			if wanted[number] {
				return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "partition %d is given twice", number)
			}
			wanted[number] = true
		}
	}
	return wanted, nil
}

package fsm

import (
	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// assign makes the shard the owner of exactly the given partitions. The data of one that it no longer owns stays in the
// engine, unreachable.
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
	case epoch <= s.epoch:
		refused = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
			"epoch %d is not above %d, in which shard %d last changed ownership", epoch, s.epoch, f.options.Shard)
		refused.Epoch = s.epoch
		return false, refused
	}
	s.epoch = a.GetEpoch()
	f.batch.Put(engine.Record{Key: ownershipKey, Value: encodeOwnership(s.epoch)})
	for number, want := range wanted {
		p := &s.partitions[number]
		if p.state == want {
			continue
		}
		p.state, p.epoch = want, s.epoch
		f.batch.Put(engine.Record{Key: partitionKey(number), Value: p.encode()})
	}
	return true, nil
}

func (s *state) ownsExactly(wanted *[command.Partitions]ownership) bool {
	for number := range s.partitions {
		if s.partitions[number].state != wanted[number] {
			return false
		}
	}
	return true
}

// expand turns ranges into a state for each partition. Ranges that overlap are refused: somebody has miscounted.
func expand(ranges []*pb.PartitionRange) (*[command.Partitions]ownership, *kverr.Error) {
	wanted := new([command.Partitions]ownership)
	for _, r := range ranges {
		first, last := r.GetFirst(), r.GetLast()
		if first > last || last >= command.Partitions {
			return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
				"partitions %d to %d: not a range within 0 to %d", first, last, command.Partitions-1)
		}
		for number := first; number <= last; number++ {
			if wanted[number] == owned {
				return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "partition %d is given twice", number)
			}
			wanted[number] = owned
		}
	}
	return wanted, nil
}

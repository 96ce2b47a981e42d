package fsm

import (
	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// importRecords takes what the giver has, as it has it: all of the entry, or nothing if any of it is for a partition that is
// not being imported in this epoch. So neither a late entry nor a wrong one ever touches what clients have written here.
func (f *FSM) importRecords(m *pb.ImportRecords) (changed bool, err *kverr.Error) {
	if err := f.checkImport(m); err != nil {
		return false, err
	}
	for _, r := range m.GetRecords() {
		f.store(string(r.GetKey()), engine.Record{Value: r.GetValue(), Version: r.GetVersion(), Expiry: f.due(r.GetTtlMs())}, leaseOf(r))
	}
	for _, key := range m.GetRemoved() {
		f.remove(string(key))
	}
	f.importLeases(m.GetLeases())
	for _, c := range m.GetComplete() {
		p := &f.state.partitions[c.GetPartition()]
		// It may have been here before, and a version given then is not given again.
		p.floor = max(p.floor, c.GetFloor())
		f.become(int(c.GetPartition()), Holding{State: Imported, Epoch: m.GetEpoch()})
	}
	return len(m.GetComplete()) > 0, nil
}

func (f *FSM) checkImport(m *pb.ImportRecords) *kverr.Error {
	for _, r := range m.GetRecords() {
		err := f.checkImported(r.GetKey(), m.GetEpoch())
		if err == nil {
			err = checkValue(len(r.GetValue()), ValueBytesMax)
		}
		if err == nil {
			err = checkTTL(r.GetTtlMs())
		}
		if err == nil && len(r.GetLease()) > 0 {
			err = CheckLeaseID(r.GetLease())
		}
		if err == nil && r.GetVersion() == 0 {
			err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a record has no version")
		}
		if err != nil {
			return err
		}
	}
	for _, key := range m.GetRemoved() {
		if err := f.checkImported(key, m.GetEpoch()); err != nil {
			return err
		}
	}
	for _, l := range m.GetLeases() {
		if err := f.checkImportedLease(l, m.GetEpoch()); err != nil {
			return err
		}
	}
	seen := new(numbers)
	for _, c := range m.GetComplete() {
		number := c.GetPartition()
		if number >= command.Partitions || seen[number] {
			return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "partition %d is no partition, or completed twice", number)
		}
		seen[number] = true
		if err := f.importing(uint16(number), m.GetEpoch()); err != nil {
			return err
		}
	}
	return nil
}

func (f *FSM) checkImported(key []byte, epoch uint64) *kverr.Error {
	if err := checkKey(key); err != nil {
		return err
	}
	return f.importing(command.Partition(key), epoch)
}

func (f *FSM) importing(number uint16, epoch uint64) *kverr.Error {
	holding := f.state.partitions[number].Holding
	if holding == (Holding{State: Importing, Epoch: epoch}) {
		return nil
	}
	err := kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
		"partition %d is not being imported in epoch %d: it is in state %d since epoch %d", number, epoch, holding.State, holding.Epoch)
	err.Epoch = holding.Epoch
	return err
}

// sweep deletes what is nobody's any more, and notes of which partitions nothing is left. Whatever is not released, or was
// released in another epoch, is left alone: it may hold records that are somebody's.
func (f *FSM) sweep(m *pb.SweepRecords) (changed bool, err *kverr.Error) {
	if err := checkSweep(m); err != nil {
		return false, err
	}
	for _, key := range m.GetKeys() {
		if f.state.partitions[command.Partition(key)].State == Released {
			f.remove(string(key))
		}
	}
	var empty partitionSet
	for _, s := range m.GetSwept() {
		for number := s.GetFirst(); number <= s.GetLast(); number++ {
			if f.state.partitions[number].Holding == (Holding{State: Released, Epoch: s.GetEpoch()}) {
				f.become(int(number), Holding{State: None, Epoch: s.GetEpoch()})
				empty.add(uint16(number))
				changed = true
			}
		}
	}
	f.state.leases.forget(empty)
	return changed, nil
}

func checkSweep(m *pb.SweepRecords) *kverr.Error {
	for _, key := range m.GetKeys() {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	for _, s := range m.GetSwept() {
		if s.GetFirst() > s.GetLast() || s.GetLast() >= command.Partitions {
			return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
				"partitions %d to %d: not a range within 0 to %d", s.GetFirst(), s.GetLast(), command.Partitions-1)
		}
	}
	return nil
}

package fsm

import (
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// ExportedLease is what a lease has in the partitions of an export, as it was when they were frozen.
type ExportedLease struct {
	ID    LeaseID
	TTLMs uint64
	// Live is where it lives, Ended where it has ended and keys of it are left; both as bytes of a set of partitions.
	Live, Ended []byte

	expiry uint64
}

// within is what the leases have in some partitions.
func (t *leases) within(parts partitionSet) []ExportedLease {
	var list []ExportedLease
	t.byDue.Scan(func(l *lease) bool {
		live, ended := l.live.and(parts), l.ended.and(parts)
		if !live.empty() || !ended.empty() {
			list = append(list, ExportedLease{
				ID: l.id, TTLMs: l.ttlMs, Live: live.encode(nil), Ended: ended.encode(nil), expiry: l.expiry,
			})
		}
		return true
	})
	return list
}

// forget drops what leases have in partitions of which nothing is left.
func (t *leases) forget(parts partitionSet) {
	var touched []*lease
	t.byDue.Scan(func(l *lease) bool {
		if live, ended := l.live.and(parts), l.ended.and(parts); !live.empty() || !ended.empty() {
			touched = append(touched, l)
		}
		return true
	})
	for _, l := range touched {
		t.change(l, func() { l.live, l.ended = l.live.minus(parts), l.ended.minus(parts) })
	}
}

// importLeases adds what leases have in partitions that are being imported. Their other parts may be here: then all of them live as
// long as the one that lives longest, because a renewal never shortens.
func (f *FSM) importLeases(list []*pb.ImportedLease) {
	for _, m := range list {
		live, ended := partitionSets(m)
		l := f.state.leases.byID[LeaseID(m.GetLease())]
		if l == nil {
			l = &lease{id: LeaseID(m.GetLease())}
		}
		f.state.leases.change(l, func() {
			l.ttlMs, l.expiry = m.GetTtlMs(), max(l.expiry, f.due(m.GetLeftMs()))
			l.live, l.ended = l.live.or(live), l.ended.or(ended)
		})
	}
}

// leaseOf is the lease that a record comes with.
func leaseOf(r *pb.ImportedRecord) (id LeaseID) {
	copy(id[:], r.GetLease())
	return id
}

// partitionSets of a message that was checked. No bytes are no partitions.
func partitionSets(m *pb.ImportedLease) (live, ended partitionSet) {
	live, _ = decodePartitionSet(m.GetPartitions())
	ended, _ = decodePartitionSet(m.GetEnded())
	return live, ended
}

func (f *FSM) checkImportedLease(m *pb.ImportedLease, epoch uint64) *kverr.Error {
	err := CheckLeaseID(m.GetLease())
	if err == nil {
		err = CheckLeaseTTL(m.GetTtlMs())
	}
	if err == nil && (m.GetLeftMs() == 0 || m.GetLeftMs() > TTLMsMax) {
		err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a lease has %d ms left", m.GetLeftMs())
	}
	for _, set := range [][]byte{m.GetPartitions(), m.GetEnded()} {
		if err == nil && len(set) != 0 && len(set) != command.PartitionSetBytes {
			err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a set of partitions has %d bytes, not %d", command.PartitionSetBytes, len(set))
		}
	}
	if err != nil {
		return err
	}
	live, ended := partitionSets(m)
	both := live.or(ended)
	for number := range both.all() {
		if err := f.importing(number, epoch); err != nil {
			return err
		}
	}
	return nil
}

// Leases are what leases have in the partitions, once these are frozen.
func (x *Export) Leases() []ExportedLease {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.leases
}

// LeftOf is what is left of a lease, in ms, at least 1, as Left is of a record.
func (x *Export) LeftOf(l ExportedLease) uint64 {
	now := x.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	return max(1, Left(l.expiry, max(now, x.frozenMs)))
}

// Lease is the lease that a key belongs to by now, nil if that is none. It may be newer than the record that it is asked for: then the
// key has changed since, and is sent again. The engine is asked only where any key of the shard belongs to one.
func (x *Export) Lease(key []byte) ([]byte, error) {
	if !x.fsm.attached.Load() {
		return nil, nil
	}
	r, _, err := x.fsm.engine.Get(attachmentKey(string(key)))
	return r.Value, err
}

package fsm

import (
	"iter"

	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Limits of leases. They belong to the command's format.
const (
	// LeaseTTLMsMin and TTLMsMax bound how long a lease may live without a keep-alive: each costs an entry in every shard.
	LeaseTTLMsMin = 1_000
	// LeasesMax bounds the leases of a shard that are granted; all of them travel with partitions while these are frozen.
	LeasesMax = 1 << 14
	// leaseKeysMax and leasesEndedMax bound what one entry deletes because it belongs to leases that have ended.
	leaseKeysMax   = 512
	leasesEndedMax = 64
)

// CheckLease says why nothing can be asked of these parts of a lease.
func CheckLease(id, partitions []byte) *kverr.Error {
	if err := CheckLeaseID(id); err != nil {
		return err
	}
	if set, ok := decodePartitionSet(partitions); !ok || set.empty() {
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
			"partitions are a bit for each of the %d, and some of them", command.Partitions)
	}
	return nil
}

// CheckLeaseID says why this can be no lease's.
func CheckLeaseID(id []byte) *kverr.Error {
	if len(id) == command.LeaseIDBytes && LeaseID(id) != (LeaseID{}) {
		return nil
	}
	return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a lease's id has %d bytes, not all 0", command.LeaseIDBytes)
}

// CheckLeaseTTL says why a lease cannot live for so long.
func CheckLeaseTTL(ms uint64) *kverr.Error {
	if ms >= LeaseTTLMsMin && ms <= TTLMsMax {
		return nil
	}
	return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
		"a lease's time to live is %d to %d ms (10 years), not %d", LeaseTTLMsMin, uint64(TTLMsMax), ms)
}

// partsOf says which parts of which lease a write is about; nil: it is about none.
func partsOf(write *pb.Write) (id, partitions []byte) {
	switch kind := write.GetKind().(type) {
	case *pb.Write_GrantLease:
		return kind.GrantLease.GetLease(), kind.GrantLease.GetPartitions()
	case *pb.Write_KeepAlive:
		return kind.KeepAlive.GetLease(), kind.KeepAlive.GetPartitions()
	case *pb.Write_RevokeLease:
		return kind.RevokeLease.GetLease(), kind.RevokeLease.GetPartitions()
	default:
		return nil, nil
	}
}

// admitParts gives the partitions that are asked for, all of which are owned. Whoever walks the shards must know exactly which
// partitions each answer is about, so it is all of them or none.
func (f *FSM) admitParts(id, partitions []byte) (partitionSet, *kverr.Error) {
	if refused := CheckLease(id, partitions); refused != nil {
		return partitionSet{}, refused
	}
	asked, _ := decodePartitionSet(partitions)
	var refused *kverr.Error
	for number := range asked.all() {
		state := f.state.partitions[number].State
		if state == Owned {
			continue
		}
		refused = f.elsewhere(number, state, f.state.epoch)
		if refused.Code == errpb.ErrorCode_ERROR_CODE_WRONG_SHARD {
			break
		}
	}
	return asked, refused
}

func lost(id []byte) *kverr.Error {
	return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_LEASE_NOT_FOUND,
		"lease %x is gone: it was never granted, was revoked, or has expired", id)
}

// grantLease makes the parts. To grant what is granted keeps it alive, so that whoever grants may ask again.
func (w *writer) grantLease(g *pb.GrantLease) (Result, error) {
	result := Result{Kind: KindGrantLease}
	asked, refused := w.f.admitParts(g.GetLease(), g.GetPartitions())
	if refused == nil {
		refused = CheckLeaseTTL(g.GetTtlMs())
	}
	if refused != nil {
		result.Err = refused
		return result, nil
	}
	all, id := w.f.state.leases, LeaseID(g.GetLease())
	l := all.byID[id]
	if l == nil {
		if len(all.byID) >= LeasesMax {
			result.Err = full("the shard has %d leases", LeasesMax)
			return result, nil
		}
		l = &lease{id: id}
	}
	if ended := l.ended.and(asked); !ended.empty() {
		result.Err = lost(id[:])
		return result, nil
	}
	all.change(l, func() {
		l.ttlMs, l.live = g.GetTtlMs(), l.live.or(asked)
		l.expiry = max(l.expiry, w.f.due(l.ttlMs))
	})
	return result, nil
}

// keepAlive renews all of the parts, or none. It never makes one: what is gone stays gone.
func (w *writer) keepAlive(k *pb.KeepAlive) (Result, error) {
	result := Result{Kind: KindKeepAlive}
	asked, refused := w.f.admitParts(k.GetLease(), k.GetPartitions())
	if refused != nil {
		result.Err = refused
		return result, nil
	}
	l := w.f.state.leases.byID[LeaseID(k.GetLease())]
	if l == nil || !l.live.covers(asked) {
		result.Err = lost(k.GetLease())
		return result, nil
	}
	w.f.state.leases.change(l, func() { l.expiry = max(l.expiry, w.f.due(l.ttlMs)) })
	result.TTLMs = l.ttlMs
	return result, nil
}

// revokeLease ends the parts, and deletes as many of their keys as an entry may.
func (w *writer) revokeLease(r *pb.RevokeLease) (Result, error) {
	result := Result{Kind: KindRevokeLease}
	asked, refused := w.f.admitParts(r.GetLease(), r.GetPartitions())
	if refused != nil {
		result.Err = refused
		return result, nil
	}
	l := w.f.state.leases.byID[LeaseID(r.GetLease())]
	if l == nil {
		return result, nil
	}
	here := l.live.or(l.ended)
	if here = here.and(asked); here.empty() {
		return result, nil
	}
	result.Existed = true
	var err error
	result.More, err = w.end(l, here)
	return result, err
}

// mayTake says why no key of a partition may belong to a lease from now on.
func (f *FSM) mayTake(id []byte, number uint16) *kverr.Error {
	if len(id) == 0 {
		return nil
	}
	if l := f.state.leases.byID[LeaseID(id)]; l == nil || !l.live.has(number) {
		return lost(id)
	}
	return nil
}

// end ends parts in partitions that are owned: they take no keys from here on, and the keys that they have are deleted. What is
// more than an entry may delete is left to further ones.
func (w *writer) end(l *lease, parts partitionSet) (more bool, err error) {
	for key := range w.keysOf(l, parts) {
		if w.freed == leaseKeysMax {
			more = true
			break
		}
		if err := w.free(key); err != nil {
			return false, err
		}
	}
	w.f.state.leases.change(l, func() {
		l.live, l.ended = l.live.minus(parts), l.ended.minus(parts)
		if more {
			l.ended = l.ended.or(parts)
		}
	})
	return more, nil
}

// keysOf gives the keys that the lease has there after the writes so far. What earlier writes of the entry have put into it is not
// attached yet, and what they have taken from it still is.
func (w *writer) keysOf(l *lease, parts partitionSet) iter.Seq[string] {
	return func(yield func(string) bool) {
		ended := false
		// Rows of other partitions may be many: they are leapt over.
		for from := attachedHead(l.id, 0); from != "" && !ended; {
			next := ""
			w.f.state.leases.attached.Ascend(from, func(row string) bool {
				id, number, key := splitAttachedRow(row)
				if id != l.id {
					return false
				}
				if !parts.has(number) {
					next = attachedHead(id, number+1)
					return false
				}
				if now, known := w.written[key]; !known || now.lease == l.id {
					ended = !yield(key)
				}
				return !ended
			})
			from = next
		}
		for _, key := range w.leased[l.id] {
			if ended {
				return
			}
			if parts.has(command.Partition([]byte(key))) && w.written[key].lease == l.id {
				ended = !yield(key)
			}
		}
	}
}

// free deletes a key because its lease has ended.
func (w *writer) free(key string) error {
	before, err := w.versionNow([]byte(key))
	if err != nil {
		return err
	}
	w.freed++
	w.set([]byte(key), written{})
	w.f.deleted([]byte(key), before)
	w.raise(command.Partition([]byte(key)), before)
	return nil
}

// endLeases ends what is due by now, the earliest first, and goes on with what has ended. What is due in partitions that are not
// owned waits for them to be.
func (w *writer) endLeases() error {
	s := w.f.state
	now, owned := s.head.logTimeMs, s.owned()
	var due []*lease
	s.leases.byDue.Scan(func(l *lease) bool {
		if l.due() > now || len(due) == leasesEndedMax {
			return false
		}
		if s.leasePossible(l, owned) <= now {
			due = append(due, l)
		}
		return true
	})
	for _, l := range due {
		parts := l.ended.and(owned)
		if l.expiry <= now {
			live := l.live.and(owned)
			parts = parts.or(live)
		}
		if _, err := w.end(l, parts); err != nil {
			return err
		}
	}
	w.ended += len(due)
	return nil
}

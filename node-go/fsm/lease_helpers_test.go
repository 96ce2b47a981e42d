package fsm

import (
	"bytes"
	"maps"

	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

const noLease = errpb.ErrorCode_ERROR_CODE_LEASE_NOT_FOUND

func leaseID(n byte) LeaseID { return LeaseID{0: n, 15: 0xff} }

// parts is a set of partitions as bytes.
func parts(ranges ...*pb.PartitionRange) []byte {
	var set partitionSet
	for _, r := range ranges {
		for number := r.First; number <= r.Last; number++ {
			set.add(uint16(number))
		}
	}
	return set.encode(nil)
}

func grant(n byte, ttlMs uint64, ranges ...*pb.PartitionRange) *pb.Write {
	id := leaseID(n)
	return &pb.Write{Kind: &pb.Write_GrantLease{GrantLease: &pb.GrantLease{Lease: id[:], TtlMs: ttlMs, Partitions: parts(ranges...)}}}
}

func keepAlive(n byte, ranges ...*pb.PartitionRange) *pb.Write {
	id := leaseID(n)
	return &pb.Write{Kind: &pb.Write_KeepAlive{KeepAlive: &pb.KeepAlive{Lease: id[:], Partitions: parts(ranges...)}}}
}

func revoke(n byte, ranges ...*pb.PartitionRange) *pb.Write {
	id := leaseID(n)
	return &pb.Write{Kind: &pb.Write_RevokeLease{RevokeLease: &pb.RevokeLease{Lease: id[:], Partitions: parts(ranges...)}}}
}

// leased is a put into a lease.
func leased(key, value string, n byte) *pb.Write {
	w, id := put(key, value), leaseID(n)
	w.GetPut().Lease = id[:]
	return w
}

// ending has what is due of leases end.
func ending() *pb.Command {
	return &pb.Command{Kind: &pb.Command_Expire{Expire: &pb.Expire{Leases: true}}}
}

// requireLeases holds rows, state and records against each other: what a restart would find is what is known; each key of a lease is
// there, and has a part of it where the shard owns the key; and nothing is left of a lease without parts.
func requireLeases(t fataler, f *FSM) {
	t.Helper()
	view, err := f.engine.View()
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer view.Close()
	found, err := loadLeases(view)
	if err != nil || !sameLeases(found, f.state.leases) {
		t.Fatalf("rows say %v %v, state %v %v, error %v", found.byID, found.of, f.state.leases.byID, f.state.leases.of, err)
	}
	if err := f.state.checkAttachments(); err != nil {
		t.Fatalf("%v", err)
	}
	for key := range found.of {
		if _, there, err := f.engine.Get(userKey([]byte(key))); !there || err != nil {
			t.Fatalf("%q belongs to a lease and is not there, error %v", key, err)
		}
	}
	for id, l := range f.state.leases.byID {
		if l.live.empty() && l.ended.empty() || l.dirty {
			t.Fatalf("lease %x has %+v", id, l)
		}
	}
}

func sameLeases(a, b *leases) bool {
	sameLease := func(a, b *lease) bool { return a.id == b.id && bytes.Equal(a.encode(), b.encode()) }
	return maps.EqualFunc(a.byID, b.byID, sameLease) && maps.Equal(a.of, b.of) &&
		a.attached.Len() == len(a.of) && b.attached.Len() == len(b.of) && a.byDue.Len() == len(a.byID) && b.byDue.Len() == len(b.byID)
}

// rowsOf counts the rows of leases and of their keys.
func rowsOf(t fataler, f *FSM) (n int) {
	t.Helper()
	view, err := f.engine.View()
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer view.Close()
	err = view.Ascend([]byte{spaceLease}, []byte{spaceAttachment + 1}, func(engine.Record) bool {
		n++
		return true
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return n
}

func where(key string) *pb.PartitionRange {
	number := uint32(command.Partition([]byte(key)))
	return span(number, number)
}

package simulation

import (
	"bytes"
	"fmt"
	"slices"

	"kvorum/node/engine"
	"kvorum/node/fsm"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

const (
	leasedKeys = 6
	leasesHere = 3
	leaseTTLMs = 1_500
)

// leased are keys of leases, and what is known of them.
type leased struct {
	// of is the lease of each key that an answer has put into one.
	of map[string]byte
	// due is when a lease may end, by the log time of the shard that renewed it.
	due map[byte]dueAt
}

func newLeased() leased { return leased{of: map[string]byte{}, due: map[byte]dueAt{}} }

func leaseID(n byte) []byte { return append(bytes.Repeat([]byte{0}, command.LeaseIDBytes-1), n) }

// writeLeased commits something about leases, in a shard whose leader can.
func (s *shard) writeLeased() {
	w := s.world
	for _, other := range w.shards {
		if other.committed.Format() < command.Format || s.leader.fsm.Format() < command.Format {
			return
		}
	}
	n, name := byte(1+w.random.IntN(leasesHere)), fmt.Sprintf("leased-%d", w.random.IntN(leasedKeys))
	id, parts := leaseID(n), s.ownedParts()
	write := &pb.Write{}
	renews := false
	switch w.random.IntN(9) {
	case 0, 1:
		write.Kind, renews = &pb.Write_GrantLease{GrantLease: &pb.GrantLease{Lease: id, TtlMs: leaseTTLMs, Partitions: parts}}, true
	case 2, 3:
		write.Kind, renews = &pb.Write_KeepAlive{KeepAlive: &pb.KeepAlive{Lease: id, Partitions: parts}}, true
	case 4:
		write.Kind = &pb.Write_RevokeLease{RevokeLease: &pb.RevokeLease{Lease: id, Partitions: parts}}
	case 5:
		write.Kind = &pb.Write_Delete{Delete: &pb.Delete{Key: []byte(name)}}
	default:
		write.Kind = &pb.Write_Put{Put: &pb.Put{Key: []byte(name), Value: []byte("v"), Lease: id}}
	}
	s.append(&pb.Command{Kind: &pb.Command_Write{Write: &pb.WriteBatch{Writes: []*pb.Write{write}}}})
	if s.result.Results[0].Err != nil {
		return
	}
	w.happened["leased"]++
	if write.GetPut() != nil {
		w.leased.of[name] = n
	}
	if at := s.committed.LogTimeMs() + leaseTTLMs; renews {
		w.leased.due[n] = dueAt{shard: s.number, at: at}
	}
}

// ownedParts is the set of partitions that the shard owns.
func (s *shard) ownedParts() []byte {
	set := make([]byte, command.PartitionSetBytes)
	for number, h := range s.committed.Partitions() {
		if h.State == fsm.Owned {
			set[number/8] |= 1 << (number % 8)
		}
	}
	return set
}

// leasedThere are those of the keys that the shard would serve.
func (s *shard) leasedThere() []string {
	var there []string
	for n := range leasedKeys {
		name := fmt.Sprintf("leased-%d", n)
		if _, found, err := s.committed.Get([]byte(name)); err == nil && found {
			there = append(there, name)
		}
	}
	return there
}

// checkEnded: of the keys that were there before an expiry, only those are gone whose lease was due.
func (s *shard) checkEnded(before []string) {
	w, after := s.world, s.leasedThere()
	for _, name := range before {
		known := w.leased.due[w.leased.of[name]]
		if slices.Contains(after, name) {
			continue
		}
		if known.shard == s.number && known.at > s.committed.LogTimeMs() {
			w.fail("shard %d: the lease of %s was due at %d, and it is gone at %d", s.number, name, known.at, s.committed.LogTimeMs())
		}
		w.happened["ended lease"]++
	}
}

// checkLeaseRows: a key of a lease is there, and where the shard owns it the lease has something in its partition; and no lease has a
// row for nothing.
func (r *replica) checkLeaseRows() {
	view, err := r.engine.View()
	r.world.must(err)
	defer view.Close()
	holdings := r.fsm.Partitions()
	r.world.must(view.Ascend([]byte{5}, []byte{7}, func(row engine.Record) bool {
		if row.Key[0] == 5 {
			if bytes.Count(row.Value[16:], []byte{0}) == len(row.Value[16:]) {
				r.world.fail("shard %d: lease %x has a row for nothing", r.shard.number, row.Key[1:])
			}
			return true
		}
		key := row.Key[1:]
		if _, found, err := view.Get(append([]byte{2}, key...)); err != nil || !found {
			r.world.fail("shard %d: %s belongs to a lease and is not there, error %v", r.shard.number, key, err)
		}
		number := command.Partition(key)
		lease, found, err := view.Get(append([]byte{5}, row.Value...))
		r.world.must(err)
		has := func(set []byte) bool { return len(set) > 0 && set[number/8]>>(number%8)&1 == 1 }
		if isOwner(holdings[number]) && (!found || !has(lease.Value[16:144]) && !has(lease.Value[144:])) {
			r.world.fail("shard %d: %s belongs to lease %x, which is not in its partition", r.shard.number, key, row.Value)
		}
		return true
	}))
}

// leasesOf is what an export has of leases, as an entry of the receiver.
func leasesOf(x *fsm.Export) []*pb.ImportedLease {
	var list []*pb.ImportedLease
	for _, l := range x.Leases() {
		list = append(list, &pb.ImportedLease{
			Lease: bytes.Clone(l.ID[:]), TtlMs: l.TTLMs, LeftMs: x.LeftOf(l), Partitions: l.Live, Ended: l.Ended,
		})
	}
	return list
}

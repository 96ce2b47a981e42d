package fsm

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/tidwall/btree"

	"kvorum/node/engine"
	"kvorum/node/fsm/command"
)

// Lease rows. They belong to format 3 of commands.
//
//	lease       key   05 | lease id, 16 bytes
//	            value | ttl | expiry, log time | partitions where it lives | and where it has ended and keys of it are left
//	                  | 8   | 8                | 128                       | 128, or nothing if there are none
//	attachment  key   06 | the user's key
//	            value lease id, 16 bytes
const (
	spaceLease      = 0x05
	spaceAttachment = 0x06

	leaseHeadBytes = 16
)

// LeaseID names a lease for ever: random bits of whoever grants it. The zero value is none.
type LeaseID [command.LeaseIDBytes]byte

// lease is what the shard has of a lease: its parts in some partitions, which live and end together as far as the shard
// owns these.
type lease struct {
	id     LeaseID
	ttlMs  uint64
	expiry uint64
	live   partitionSet
	// ended is where it has ended, and keys of it may be left, to be deleted by further entries.
	ended partitionSet
	// dirty says that its row is to be written with this entry.
	dirty bool
}

// due is the log time from which there is something to do about it.
func (l *lease) due() uint64 {
	if !l.ended.empty() {
		return 0
	}
	return l.expiry
}

// leases are those of a shard. They belong to the goroutine that calls Apply and Restore.
type leases struct {
	byID  map[LeaseID]*lease
	byDue *btree.BTreeG[*lease]
	// of is what the attachment rows say, by key; attached are the same by lease, partition and key, as attachedRow has them.
	of       map[string]LeaseID
	attached *btree.BTreeG[string]
	// dirty are to be written with this entry, in the order in which they were first changed.
	dirty []*lease
}

func newLeases() *leases {
	alone := btree.Options{NoLocks: true}
	return &leases{
		byID: map[LeaseID]*lease{},
		byDue: btree.NewBTreeGOptions(func(a, b *lease) bool {
			if a.due() != b.due() {
				return a.due() < b.due()
			}
			return bytes.Compare(a.id[:], b.id[:]) < 0
		}, alone),
		of:       map[string]LeaseID{},
		attached: btree.NewBTreeGOptions(func(a, b string) bool { return a < b }, alone),
	}
}

func leaseKey(id LeaseID) []byte { return append([]byte{spaceLease}, id[:]...) }

func attachmentKey(key string) []byte {
	return append(append(make([]byte, 0, 1+len(key)), spaceAttachment), key...)
}

const attachedHeadBytes = command.LeaseIDBytes + 2

func attachedRow(id LeaseID, key string) string {
	return attachedHead(id, command.Partition([]byte(key))) + key
}

// attachedHead is what all rows of a lease in a partition begin with.
func attachedHead(id LeaseID, number uint16) string {
	return string(binary.BigEndian.AppendUint16(id[:], number))
}

func splitAttachedRow(row string) (id LeaseID, number uint16, key string) {
	copy(id[:], row)
	return id, uint16(row[command.LeaseIDBytes])<<8 | uint16(row[command.LeaseIDBytes+1]), row[attachedHeadBytes:]
}

func (l *lease) encode() []byte {
	to := make([]byte, 0, leaseHeadBytes+2*command.PartitionSetBytes)
	to = binary.LittleEndian.AppendUint64(to, l.ttlMs)
	to = binary.LittleEndian.AppendUint64(to, l.expiry)
	to = l.live.encode(to)
	if l.ended.empty() {
		return to
	}
	return l.ended.encode(to)
}

func decodeLease(key, value []byte) (*lease, bool) {
	if len(key) != 1+command.LeaseIDBytes || len(value) < leaseHeadBytes {
		return nil, false
	}
	l := &lease{
		id: LeaseID(key[1:]), ttlMs: binary.LittleEndian.Uint64(value), expiry: binary.LittleEndian.Uint64(value[8:]),
	}
	live, ended := value[leaseHeadBytes:], []byte(nil)
	if len(live) > command.PartitionSetBytes {
		live, ended = live[:command.PartitionSetBytes], live[command.PartitionSetBytes:]
	}
	ok := false
	if l.live, ok = decodePartitionSet(live); !ok {
		return nil, false
	}
	if ended == nil {
		return l, !l.live.empty()
	}
	l.ended, ok = decodePartitionSet(ended)
	return l, ok && !l.ended.empty()
}

// loadLeases reads the lease rows of a view, and which key belongs to which.
func loadLeases(view engine.View) (*leases, error) {
	t := newLeases()
	var bad error
	err := view.Ascend([]byte{spaceLease}, []byte{spaceLease + 1}, func(r engine.Record) bool {
		l, ok := decodeLease(r.Key, r.Value)
		if !ok {
			bad = badRow("unknown lease row %x with %d bytes", r.Key, len(r.Value))
			return false
		}
		t.byID[l.id] = l
		t.byDue.Set(l)
		return true
	})
	if err != nil || bad != nil {
		return t, firstOf(err, bad)
	}
	err = view.Ascend([]byte{spaceAttachment}, []byte{spaceAttachment + 1}, func(r engine.Record) bool {
		if len(r.Key) < 2 || len(r.Value) != command.LeaseIDBytes || LeaseID(r.Value) == (LeaseID{}) {
			bad = badRow("unknown attachment row %x with %d bytes", r.Key, len(r.Value))
			return false
		}
		t.link(string(r.Key[1:]), LeaseID(r.Value))
		return true
	})
	return t, firstOf(err, bad)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkAttachments refuses a key whose lease has nothing in its partition: nobody would ever delete it. What is being imported gets its
// leases last, and what is released is swept.
func (s *state) checkAttachments() error {
	for key, id := range s.leases.of {
		number := command.Partition([]byte(key))
		if state := s.partitions[number].State; state != Owned && state != Frozen {
			continue
		}
		if l := s.leases.byID[id]; l == nil || !l.live.has(number) && !l.ended.has(number) {
			return badRow("key %x belongs to lease %x, which is not in partition %d", key, id, number)
		}
	}
	return nil
}

// change changes a lease, or adds it. One that has no part any more is forgotten.
func (t *leases) change(l *lease, change func()) {
	t.byDue.Delete(l)
	change()
	if l.live.empty() && l.ended.empty() {
		delete(t.byID, l.id)
	} else {
		t.byID[l.id] = l
		t.byDue.Set(l)
	}
	if !l.dirty {
		l.dirty = true
		t.dirty = append(t.dirty, l)
	}
}

// flush writes what this entry has changed, and says whether that is anything.
func (t *leases) flush(batch *engine.Batch) bool {
	for i, l := range t.dirty {
		if now := t.byID[l.id]; now != nil {
			batch.Put(engine.Record{Key: leaseKey(l.id), Value: now.encode()})
		} else {
			batch.Delete(leaseKey(l.id))
		}
		l.dirty = false
		t.dirty[i] = nil
	}
	any := len(t.dirty) > 0
	t.dirty = t.dirty[:0]
	return any
}

// link and unlink keep both orders of the attachments alike.
func (t *leases) link(key string, id LeaseID) {
	row := attachedRow(id, key)
	t.attached.Set(row)
	t.of[row[attachedHeadBytes:]] = id
}

func (t *leases) unlink(key string, id LeaseID) {
	t.attached.Delete(attachedRow(id, key))
	delete(t.of, key)
}

// attach has a key belong to a lease, and to no other; the zero id: to none. It is told of each record of a user that is written.
func (f *FSM) attach(key string, id LeaseID) {
	t := f.state.leases
	before, any := t.of[key]
	if before == id {
		return
	}
	if any {
		t.unlink(key, before)
	}
	if id == (LeaseID{}) {
		f.batch.Delete(attachmentKey(key))
		return
	}
	t.link(key, id)
	f.batch.Put(engine.Record{Key: attachmentKey(key), Value: id[:]})
}

// nextLease is the log time from which an entry can do something about a lease; math.MaxUint64: there is none.
func (s *state) nextLease() uint64 {
	next, owned := uint64(math.MaxUint64), partitionSet{}
	if len(s.leases.byID) > 0 {
		owned = s.owned()
	}
	s.leases.byDue.Scan(func(l *lease) bool {
		if l.due() >= next {
			return false
		}
		next = min(next, s.leasePossible(l, owned))
		return true
	})
	return next
}

// leasePossible is the same for one lease. Where it is frozen, the first entry after the freeze can.
func (s *state) leasePossible(l *lease, owned partitionSet) uint64 {
	if ended := l.ended.and(owned); !ended.empty() {
		return 0
	}
	possible := uint64(math.MaxUint64)
	if live := l.live.and(owned); !live.empty() {
		possible = l.expiry
	}
	for number := range l.live.all() {
		if p := &s.partitions[number]; p.State == Frozen {
			possible = min(possible, max(l.expiry, p.until))
		}
	}
	for number := range l.ended.all() {
		if p := &s.partitions[number]; p.State == Frozen {
			possible = min(possible, p.until)
		}
	}
	return possible
}

package fsm

import "kvorum/node/fsm/command"

// Observer is told of what each entry has changed, in the order of the log, when readers can see it and nobody has been
// answered yet. It is called on the goroutine of raft that applies entries, and must not wait. It is no part of the state:
// nothing that it does or fails to do changes what an entry does.
type Observer interface {
	// Begin says where the changes that follow begin: after this entry, with partitions held so. It may come again, after a
	// Restore; what was told before and what is told after are then not neighbours.
	Begin(applied uint64, holdings *[command.Partitions]Holding)
	// Observe is called for every command that is applied. The list is valid only during the call; the bytes that it refers to are never
	// modified.
	Observe(index uint64, changes []Change)
}

// ChangeKind says what a Change is.
type ChangeKind uint8

const (
	// Put: the key has this value and version now.
	Put ChangeKind = iota + 1
	// Deleted: the key had this version.
	Deleted
	// ReleasedAway: partitions are not this shard's any more; whoever activates them in the same epoch goes on with them.
	ReleasedAway
	// Activated: partitions that were released elsewhere in the same epoch are this shard's from here on.
	Activated
	// Assigned: partitions are this shard's, and were nobody's.
	Assigned
	// Held: partitions are held in another way, which is no change of owner.
	Held
)

// Change is one change that an entry has made: every write of a key, also when the same entry writes it again, or a change of
// how neighbouring partitions are held. All replicas number the changes of an entry alike.
type Change struct {
	Kind    ChangeKind
	Key     []byte
	Value   []byte
	Version uint64
	// Shared is how many bytes of Value an earlier change of the entry refers to as well.
	Shared int
	// First and Last partition, and how they are held now.
	First, Last uint16
	Holding     Holding
}

// IsOfKey tells the changes of keys from those of partitions.
func (c *Change) IsOfKey() bool { return c.Kind == Put || c.Kind == Deleted }

// changed notes a write that leaves a value.
func (w *writer) changed(key []byte, before, now written) {
	if w.f.options.Observer == nil {
		return
	}
	c := Change{Kind: Put, Key: key, Value: now.value, Version: now.version}
	if before.grown {
		c.Shared = len(before.value)
	}
	w.f.changes = append(w.f.changes, c)
}

// deleted notes that a key is gone, which had this version.
func (f *FSM) deleted(key []byte, version uint64) {
	if f.options.Observer != nil {
		f.changes = append(f.changes, Change{Kind: Deleted, Key: key, Version: version})
	}
}

// held notes how a partition is held from now on; neighbours that change alike are one change.
func (f *FSM) held(number int, before, now Holding) {
	if f.options.Observer == nil {
		return
	}
	kind, partition := kindOfHolding(before.State, now.State), uint16(number)
	if last := len(f.changes) - 1; last >= 0 {
		c := &f.changes[last]
		if c.Kind == kind && c.Holding == now && c.Last+1 == partition {
			c.Last = partition
			return
		}
	}
	f.changes = append(f.changes, Change{Kind: kind, First: partition, Last: partition, Holding: now})
}

func kindOfHolding(before, now Ownership) ChangeKind {
	switch {
	case before == Frozen && now == Released:
		return ReleasedAway
	case before == Imported && now == Owned:
		return Activated
	case before == None && now == Owned:
		return Assigned
	default:
		return Held
	}
}

// begin tells the observer where it begins.
func (f *FSM) begin() {
	f.changes = nil
	if f.options.Observer != nil {
		f.options.Observer.Begin(f.state.applied, &f.table.Load().holdings)
	}
}

// tell gives the entry's changes to the observer.
func (f *FSM) tell(index uint64) {
	if f.options.Observer != nil {
		f.options.Observer.Observe(index, f.changes)
	}
	clear(f.changes)
	f.changes = f.changes[:0]
}

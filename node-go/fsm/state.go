package fsm

import (
	"kvorum/node/fsm/command"
)

// state is what the state machine knows besides the keys: exactly what the system rows of the engine say. It belongs to
// the goroutine that calls Apply and Restore; others read the table that it publishes.
type state struct {
	// applied is the engine's applied index.
	applied    uint64
	head       head
	epoch      uint64
	partitions [command.Partitions]partition
	sessions   *sessions
	// expiries is what the expiry rows say, by key.
	expiries map[string]uint64
	leases   *leases
	// thawMs is nextThaw, so that entries need not look for it.
	thawMs uint64
}

// head describes the newest command.
type head struct {
	// format is the one that the shard uses (command.Format).
	format uint8
	// shard guards against the data of another shard, say from a peer whose address is somebody else's by now.
	shard uint32
	// logTimeMs is the only time there is in here: the greatest stamp of a leader so far (protos/command.proto).
	logTimeMs uint64
	index     uint64
	term      uint64
}

// Ownership is what a partition is to the shard (node-go/move/DESIGN.md draws how one follows another). Its numbers are
// in rows, for ever.
type Ownership uint8

const (
	// None: not this shard's, and none of its keys is here.
	None Ownership = iota
	Owned
	// Frozen: owned, and takes no writes.
	Frozen
	// Importing: its records come from the shard that owns it.
	Importing
	// Imported: all of it is here. The giver may still own it.
	Imported
	// Released: not this shard's any more; its keys are being deleted.
	Released

	ownerships
)

// Holding is what the shard knows of one partition.
type Holding struct {
	State Ownership
	// Epoch in which State last changed.
	Epoch uint64
}

type partition struct {
	Holding
	// until is the log time at which a freeze ends by itself.
	until uint64
	// floor is the greatest version that a deleted key of the partition had. A new key begins above it, so that a
	// key never has the same version twice, however often it is deleted.
	floor uint64
}

// table is who owns what, as readers see it. A published table is never modified; another one takes its place.
type table struct {
	epoch    uint64
	holdings [command.Partitions]Holding
	// thaws has the log time at which each freeze ends by itself; frozen says whether there is any.
	thaws  [command.Partitions]uint64
	frozen bool
}

func (s *state) table() *table {
	t := &table{epoch: s.epoch}
	for i := range s.partitions {
		p := &s.partitions[i]
		t.holdings[i] = p.Holding
		if p.State == Frozen {
			t.thaws[i], t.frozen = p.until, true
		}
	}
	return t
}

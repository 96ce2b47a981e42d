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
}

// head describes the newest command.
type head struct {
	// shard guards against the data of another shard, say from a peer whose address is somebody else's by now.
	shard uint32
	// logTimeMs is the only time there is in here: the greatest stamp of a leader so far (protos/command.proto).
	logTimeMs uint64
	index     uint64
	term      uint64
}

type ownership uint8

const (
	none ownership = iota
	owned
)

type partition struct {
	state ownership
	// epoch in which state last changed.
	epoch uint64
	// floor is the greatest version that a deleted key of the partition had. A new key begins above it, so that a
	// key never has the same version twice, however often it is deleted.
	floor uint64
}

// table is who owns what, as readers see it. A published table is never modified; another one takes its place.
type table struct {
	epoch uint64
	owned [command.Partitions]bool
}

func (s *state) table() *table {
	t := &table{epoch: s.epoch}
	for i := range s.partitions {
		t.owned[i] = s.partitions[i].state == owned
	}
	return t
}

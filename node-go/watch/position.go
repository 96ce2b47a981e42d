// Package watch keeps what a replica has applied last, for those who want to see every change: a ring that is bounded in bytes, of
// which each watcher is a position. It is memory of this process and no state: another replica has the same changes at the same
// positions, for as far back as its own ring goes.
package watch

import "errors"

// Position is a place in the shard's log, before a change: the changes of the entry Index from number Skip on are next. It is the same on all
// replicas.
type Position struct {
	Index uint64
	Skip  uint32
}

// Before says that p comes first.
func (p Position) Before(other Position) bool {
	return p.Index < other.Index || p.Index == other.Index && p.Skip < other.Skip
}

// after is the position behind a whole entry.
func after(index uint64) Position { return Position{Index: index + 1} }

// ErrCompacted says that the changes at a position are not kept here any more.
var ErrCompacted = errors.New("the changes from this position on are not kept any more")

// Filter says which keys are watched.
type Filter struct {
	Key []byte
	// IsPrefix: keys that begin so, instead of this one.
	IsPrefix bool
}

func (f Filter) wants(key []byte) bool {
	if !f.IsPrefix {
		return string(key) == string(f.Key)
	}
	return len(key) >= len(f.Key) && string(key[:len(f.Key)]) == string(f.Key)
}

package replica

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"kvorum/node/raftlog"
	"kvorum/node/snapshot"
)

// logGuard stands between Raft and its log: for what a leader writes beside its messages (parallel.go), and for the end of an
// InstallSnapshot.
//
// Of the latter: hashicorp/raft 1.7.3 then empties a monotonic log, but if that reached beyond the snapshot it goes on as if the rest were
// still there: it acknowledges and votes for entries that are gone. So such a log is not emptied: the process ends. The
// snapshot is restored by then, and the next start keeps the log if it agrees with it, and empties it properly if not
// (snapshot.Store.FinishRestore).
type logGuard struct {
	*raftlog.Log
	snapshots snapshots
	onFatal   func(*FatalError)
	// leads says whether this node is the leader. Nil until Raft has started.
	leads atomic.Pointer[func() bool]
	// installed: the state machine has been restored, so that what Raft deletes next is the whole log.
	installed atomic.Bool
	// configurations are told of what is in the log.
	configurations *configurations
}

// snapshots is what the log needs to know of them.
type snapshots interface {
	// Covered is the last entry of the newest one.
	Covered() uint64
	// Newest is the newest one whose content the state machine has.
	Newest() (snapshot.Info, bool)
	// Configuration is that of the newest one, and the index of its entry.
	Configuration() (raft.Configuration, uint64)
}

var errLogBeyondSnapshot = errors.New("the log reaches beyond the installed snapshot")

// DeleteRange lets compaction pass (up to a snapshot) and truncation (behind one), but nothing across a snapshot's end. After
// an install it lets only a log pass that is shorter than the snapshot. What is behind the snapshot was acknowledged; and of
// one that ends with it, with an entry of another term, Raft would go on to tell that term.
func (l *logGuard) DeleteRange(minimum, maximum uint64) error {
	covered := l.snapshots.Covered()
	across := minimum <= covered && covered < maximum
	whole := l.installed.Swap(false)
	if across || whole && covered <= maximum {
		err := fmt.Errorf("%w at entry %d, up to %d: starting again", errLogBeyondSnapshot, covered, maximum)
		l.onFatal(&FatalError{Cause: CauseRestart, Err: err})
		return err
	}
	if whole || covered < minimum {
		l.configurations.removed(minimum)
	}
	return l.Log.DeleteRange(minimum, maximum)
}

// StoreLog and StoreLogs come after an install whose log was empty: there was nothing to delete. They refuse what the
// snapshot stands for: a message from before the install would fill the log with it, and leave no place for what follows.
func (l *logGuard) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l *logGuard) StoreLogs(entries []*raft.Log) error {
	l.installed.Store(false)
	if covered := l.snapshots.Covered(); len(entries) > 0 && entries[0].Index <= covered {
		err := fmt.Errorf("entry %d came late, after a snapshot up to entry %d: starting again", entries[0].Index, covered)
		l.onFatal(&FatalError{Cause: CauseRestart, Err: err})
		return err
	}
	if l.mayStoreAhead(entries) {
		return l.Log.StoreAhead(entries)
	}
	if err := l.Log.StoreLogs(entries); err != nil {
		return err
	}
	l.configurations.stored(entries)
	return nil
}

// GetLog knows the term of a snapshot's last entry although the log begins behind it. hashicorp/raft asks only the log
// when a leader's entries follow the snapshot and the log goes on differently; without an answer it would be sent a snapshot.
func (l *logGuard) GetLog(index uint64, entry *raft.Log) error {
	if err := l.settleAsFollower(); err != nil {
		return err
	}
	err := l.Log.GetLog(index, entry)
	if err == nil && l.leads.Load() == nil {
		// Raft is starting, and reads all that follows its snapshot.
		l.configurations.stored([]*raft.Log{entry})
	}
	if !errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	newest, ok := l.snapshots.Newest()
	if !ok || newest.Index != index {
		return err
	}
	*entry = raft.Log{Index: index, Term: newest.Term, Type: raft.LogNoop}
	return nil
}

// holds says whether all that a snapshot stands for is here, so that Raft need not see it: it is committed, and a newer
// snapshot is here, or the log has its last entry and so, by log matching, all before it. A late copy of a snapshot is
// answered here too. A message of an older term is Raft's to refuse.
func (l *logGuard) holds(request *raft.InstallSnapshotRequest, term uint64) bool {
	if request.Term < term {
		return false
	}
	if newest, ok := l.snapshots.Newest(); ok && request.LastLogIndex <= newest.Index {
		return true
	}
	if err := l.settleAsFollower(); err != nil {
		return false
	}
	var entry raft.Log
	return request.Term == term && l.Log.GetLog(request.LastLogIndex, &entry) == nil && entry.Term == request.LastLogTerm
}

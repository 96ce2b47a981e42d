package replica

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"kvorum/node/raftlog"
)

// installLog stands between Raft and its log for the end of an InstallSnapshot.
//
// hashicorp/raft 1.7.3 then empties a monotonic log, but if that reached beyond the snapshot it goes on as if the rest were
// still there: it acknowledges and votes for entries that are gone. So such a log is not emptied: the process ends. The
// snapshot is restored by then, and the next start keeps the log if it agrees with it, and empties it properly if not
// (snapshot.Store.FinishRestore).
type installLog struct {
	*raftlog.Log
	// covered is the last entry of the newest snapshot.
	covered func() uint64
	onFatal func(*FatalError)
}

var errLogBeyondSnapshot = errors.New("the log reaches beyond the installed snapshot")

// DeleteRange lets compaction pass (up to a snapshot) and truncation (behind one), but nothing across a snapshot's end.
func (l *installLog) DeleteRange(minimum, maximum uint64) error {
	if covered := l.covered(); minimum <= covered && covered < maximum {
		err := fmt.Errorf("%w at entry %d, up to %d: starting again", errLogBeyondSnapshot, covered, maximum)
		l.onFatal(&FatalError{Cause: CauseRestart, Err: err})
		return err
	}
	return l.Log.DeleteRange(minimum, maximum)
}

// holds says whether the log has a snapshot's last entry, and so, by log matching, all that the snapshot stands for. A
// message of another term is Raft's to judge.
func (r *Replica) holds(request *raft.InstallSnapshotRequest) bool {
	if request.Term != r.raft.CurrentTerm() {
		return false
	}
	var entry raft.Log
	return r.log.GetLog(request.LastLogIndex, &entry) == nil && entry.Term == request.LastLogTerm
}

package replica

import (
	"container/list"
	"time"

	"google.golang.org/protobuf/proto"

	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	"kvorum/node/kverr"
)

// writeOverhead is an upper bound of what one write adds to an entry beside its key and value: tags, lengths, its
// sequence number, and a session that it may be the only write of.
const writeOverhead = 96

// waiting is what one caller waits for: the writes of a message, or a command that has an entry of its own. The proposer's lock
// guards it, except `answered` and, once that is closed, `results`.
type waiting struct {
	writes   []*command.Write
	sessions []*command.Session
	// alone is nil for writes.
	alone    *command.Command
	deadline time.Time
	hold     *Hold

	// since is when it came into the queue.
	since time.Time
	// queued is what those of its writes that are not proposed would take in entries.
	queued int
	// place is its element in the queue; nil when nothing of it is left to propose.
	place *list.Element
	// proposed counts the writes that are in entries, in flight or settled. The rest is queued.
	proposed int
	// inEntries counts the writes whose entries are in flight: Raft refers to their bytes.
	inEntries int

	results  []fsm.Result
	settled  []bool
	left     int
	answered chan struct{}
}

func newWaiting(batch *command.WriteBatch, deadline time.Time, hold *Hold) *waiting {
	if hold != nil {
		hold.Retain()
	}
	w := waitingFor(len(batch.GetWrites()), deadline)
	w.writes, w.sessions, w.hold = batch.GetWrites(), batch.GetSessions(), hold
	for i := range w.writes {
		w.queued += w.cost(i)
	}
	return w
}

func newAlone(c *command.Command, deadline time.Time) *waiting {
	w := waitingFor(1, deadline)
	w.alone = c
	return w
}

func waitingFor(n int, deadline time.Time) *waiting {
	w := &waiting{
		deadline: deadline, results: make([]fsm.Result, n), settled: make([]bool, n), left: n, answered: make(chan struct{}),
	}
	if n == 0 {
		close(w.answered)
	}
	return w
}

// answer settles one write; a second answer is dropped.
func (w *waiting) answer(i int, result fsm.Result) {
	if w.settled[i] {
		return
	}
	w.settled[i] = true
	w.results[i] = result
	if w.left--; w.left == 0 {
		close(w.answered)
	}
}

// refuseQueued answers what was not proposed, which then never will be.
func (w *waiting) refuseQueued(err *kverr.Error) {
	for i := w.proposed; i < len(w.results); i++ {
		w.answer(i, fsm.Result{Err: err})
	}
	w.proposed = len(w.results)
}

// letGo gives the bytes back once neither the queue nor Raft refers to them.
func (w *waiting) letGo() {
	if w.place == nil && w.inEntries == 0 && w.hold != nil {
		w.hold.Release()
		w.hold = nil
	}
}

// cost bounds what the i-th write takes in an entry.
func (w *waiting) cost(i int) int {
	switch kind := w.writes[i].Kind.(type) {
	case *command.Write_Put:
		return len(kind.Put.Key) + len(kind.Put.Value) + writeOverhead
	case *command.Write_GrantLease, *command.Write_KeepAlive, *command.Write_RevokeLease:
		return fsmcommand.LeaseIDBytes + fsmcommand.PartitionSetBytes + writeOverhead
	case *command.Write_Delete:
		return len(kind.Delete.Key) + writeOverhead
	case *command.Write_Append:
		return len(kind.Append.Key) + len(kind.Append.Value) + writeOverhead
	case *command.Write_CompareAndSet:
		return len(kind.CompareAndSet.Key) + len(kind.CompareAndSet.Expected) + len(kind.CompareAndSet.Value) + writeOverhead
	case *command.Write_Touch:
		return len(kind.Touch.Key) + writeOverhead
	case *command.Write_Increment:
		return len(kind.Increment.Key) + writeOverhead
	case *command.Write_Transaction:
		return proto.Size(kind.Transaction) + writeOverhead
	default:
		return writeOverhead
	}
}

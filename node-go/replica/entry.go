package replica

import (
	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

const (
	// maxEntryBytes bounds an entry that holds more than one write. Raft sends heartbeats and entries to a peer in turn
	// on slow links and keeps whole entries in memory; past half a MiB nothing is gained by a larger group.
	maxEntryBytes = 512 << 10
	// maxEntriesInFlight: one is being fsynced here, one is on its way to the followers, one is being fsynced there, one
	// is ready. More only makes groups smaller.
	maxEntriesInFlight = 4
)

// span is a run of one caller's writes in an entry.
type span struct {
	w        *waiting
	from, to int
}

// entry is one Raft entry, and who waits for what in it. The proposer's lock guards its spans.
type entry struct {
	command *command.Command
	// sessions are their numbers in the batch, by id.
	sessions map[string]uint32
	spans    []span
}

// gather takes the oldest waiting writes out of the queue, up to an entry's size. nil when none can be proposed.
// The caller holds the lock.
func (p *proposer) gather() *entry {
	now := p.seams.clock.Now()
	e := &entry{command: &command.Command{StampMs: p.seams.logTime()}}
	batch := &command.WriteBatch{}
	size := 0
	for at := p.queue.Front(); at != nil; at = p.queue.Front() {
		w := at.Value.(*waiting)
		if !now.Before(w.deadline) {
			p.refuseQueued(w, deadlineQueued())
			continue
		}
		if w.alone != nil {
			if len(batch.Writes) == 0 {
				e.command.Kind = w.alone.Kind
				e.add(w, 1)
				p.unqueue(w)
			}
			break
		}
		n, taken := 0, 0
		for i := w.proposed; i < len(w.writes) && (size == 0 || size+w.cost(i) <= maxEntryBytes); i++ {
			size += w.cost(i)
			taken += w.cost(i)
			n++
		}
		w.queued -= taken
		p.queued -= taken
		e.take(batch, w, n)
		if w.proposed < len(w.writes) {
			break
		}
		p.unqueue(w)
	}
	if len(e.spans) == 0 {
		return nil
	}
	if e.command.Kind == nil {
		e.command.Kind = &command.Command_Write{Write: batch}
	}
	return e
}

// take puts the next n of w's writes into the entry's batch. Sessions are numbered anew: each is there once, with the
// greatest floor that anybody said.
func (e *entry) take(batch *command.WriteBatch, w *waiting, n int) {
	if n == 0 {
		return
	}
	for _, write := range w.writes[w.proposed : w.proposed+n] {
		if write.Session > 0 {
			write.Session = e.session(batch, w.sessions[write.Session-1])
		}
		batch.Writes = append(batch.Writes, write)
	}
	e.add(w, n)
}

// session is 1 + the session's position in the batch.
func (e *entry) session(batch *command.WriteBatch, said *command.Session) uint32 {
	if at, ok := e.sessions[string(said.Id)]; ok {
		known := batch.Sessions[at-1]
		known.Floor = max(known.Floor, said.Floor)
		return at
	}
	if e.sessions == nil {
		e.sessions = make(map[string]uint32)
	}
	batch.Sessions = append(batch.Sessions, &command.Session{Id: said.Id, Floor: said.Floor})
	at := uint32(len(batch.Sessions))
	e.sessions[string(said.Id)] = at
	return at
}

// add notes that the next n of w's operations are in the entry.
func (e *entry) add(w *waiting, n int) {
	e.spans = append(e.spans, span{w: w, from: w.proposed, to: w.proposed + n})
	w.proposed += n
	w.inEntries += n
}

// settle answers every write of the entry: with err if it is not nil, else with the state machine's results.
func (e *entry) settle(applied *fsm.Applied, err *kverr.Error) {
	next := 0
	for _, s := range e.spans {
		for i := s.from; i < s.to; i++ {
			result := fsm.Result{Err: err}
			if err == nil {
				result = resultOf(applied, next, s.w.alone != nil)
			}
			s.w.answer(i, result)
			next++
		}
		s.w.inEntries -= s.to - s.from
		s.w.letGo()
	}
}

// resultOf is the state machine's answer for the entry's i-th write, or for a command alone.
func resultOf(applied *fsm.Applied, i int, alone bool) fsm.Result {
	switch {
	case applied.Err != nil:
		return fsm.Result{Err: applied.Err}
	case alone:
		return fsm.Result{Already: applied.Already}
	case i < len(applied.Results):
		return applied.Results[i]
	default:
		return fsm.Result{Err: kverr.Unknown(pb.ErrorCode_ERROR_CODE_INTERNAL, "the state machine gave no result")}
	}
}

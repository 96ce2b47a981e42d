package replica

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// proposer is the group commit: whatever writes wait are gathered, in the order of their arrival, into one Raft entry;
// a few entries are in flight.
//
// Invariant: each write is answered exactly once, by whichever comes first of its entry's future, its deadline, its
// caller's leaving, the loss of leadership (only while it is queued) and the node's stop. A write is NOT_APPLIED only
// if it was never handed to Raft, or if Raft's error proves that the entry was never appended.
type proposer struct {
	seams proposerSeams

	mu sync.Mutex
	// wake tells run that something it waits for changed.
	wake  *sync.Cond
	queue list.List // of *waiting, oldest first
	// queued is what the queue's writes would take in entries.
	queued int
	// open: this node leads, and its term's barrier is applied.
	open     bool
	stopped  bool
	inFlight map[*entry]struct{}
	// drained closes when, after stop, no entry is in flight any more.
	drained chan struct{}
	// finished closes when run has returned.
	finished chan struct{}
}

// proposerSeams is what the proposer needs of the rest of the node.
type proposerSeams struct {
	// propose hands an entry to Raft.
	propose func(data []byte) raft.ApplyFuture
	// leads says whether Raft leads at this moment.
	leads func() bool
	// hint is who leads, nil when unknown.
	hint func() *pb.LeaderHint
	// logTime stamps an entry, in ms.
	logTime func() uint64
	// format is the one that the shard uses.
	format func() uint32
	clock  clock.Clock
}

func newProposer(seams proposerSeams) *proposer {
	p := &proposer{
		seams: seams, inFlight: make(map[*entry]struct{}),
		drained: make(chan struct{}), finished: make(chan struct{}),
	}
	p.wake = sync.NewCond(&p.mu)
	return p
}

// write answers a batch's writes, one result each, in their order. It blocks until all are answered. hold, if any,
// is kept until Raft has let go of the writes, which may be after the answer.
func (p *proposer) write(ctx context.Context, batch *command.WriteBatch, deadline time.Time, hold *Hold) []fsm.Result {
	return p.await(ctx, newWaiting(batch, deadline, hold))
}

// alone proposes a command in an entry of its own.
func (p *proposer) alone(ctx context.Context, c *command.Command, deadline time.Time) fsm.Result {
	return p.await(ctx, newAlone(c, deadline))[0]
}

func (p *proposer) await(ctx context.Context, w *waiting) []fsm.Result {
	p.enqueue(w)
	timer := p.seams.clock.NewTimer(w.deadline.Sub(p.seams.clock.Now()))
	defer timer.Stop()
	select {
	case <-w.answered:
	case <-timer.C():
		p.leave(w, deadlineQueued(), deadlineProposed())
	case <-ctx.Done():
		p.leave(w, cancelledQueued(), cancelledProposed())
	}
	return w.results
}

// enqueue admits w while this node leads, ready or not: the wait for readiness is a few milliseconds, less than a
// client's retry. `leads` is asked under the lock: if it says yes, then either the shut that ends this leadership is
// still to come and will answer w, or the ready that begins it is.
func (p *proposer) enqueue(w *waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopped:
		p.refuseQueued(w, p.goodbye())
	case !p.seams.leads():
		p.refuseQueued(w, notLeader(p.seams.hint()))
	case w.alone == nil && p.queued > 0 && p.queued+w.queued > queueBytesHard:
		p.refuseQueued(w, p.crowded())
	default:
		w.since = p.seams.clock.Now()
		p.queued += w.queued
		w.place = p.queue.PushBack(w)
		p.wake.Signal()
	}
}

const (
	// queueBytes of writes before Raft keep every entry full: a quarter of a second's work or so on a slow disk, half a
	// second's of a processor that is busy with small writes. More only waits longer, and what waits too long has been
	// given up by whoever wants it by the time it is done: work for nobody.
	queueBytes = 4 << 20
	// queueBytesHard: what was let in by `full` at the same moment may go over queueBytes.
	queueBytesHard = 2 * queueBytes
	// queueTime is the same for what bytes say nothing of: a disk that is very slow.
	queueTime = 500 * time.Millisecond
)

// full says why no write is to come now: the queue is as long as it may be, in bytes or in time.
func (p *proposer) full() *kverr.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queued < queueBytes && p.age() < queueTime {
		return nil
	}
	return p.crowded()
}

// crowded advises to come again after what the queue takes now.
func (p *proposer) crowded() *kverr.Error {
	return Overloaded("the writes that wait are as many as may", p.age())
}

// age is how long the oldest in the queue has waited. The caller holds the lock.
func (p *proposer) age() time.Duration {
	if oldest := p.queue.Front(); oldest != nil {
		return p.seams.clock.Now().Sub(oldest.Value.(*waiting).since)
	}
	return 0
}

// ready lets queued writes be proposed: the barrier of this leadership is applied.
func (p *proposer) ready() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = true
	p.wake.Signal()
}

// shut ends a leadership: queued writes are answered NOT_APPLIED; those in flight will be by their futures.
func (p *proposer) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = false
	p.refuseAll(notLeader(p.seams.hint()))
}

// stop refuses everything that is not in flight, now and from now on, and ends run. The channel it returns closes when
// nothing is in flight.
func (p *proposer) stop() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		p.stopped = true
		p.refuseAll(p.goodbye())
		p.settled()
		p.wake.Signal()
	}
	return p.drained
}

// goodbye names the next leader once there is one.
func (p *proposer) goodbye() *kverr.Error {
	if hint := p.seams.hint(); hint != nil {
		return notLeader(hint)
	}
	return stopping()
}

// abandon answers what is in flight with UNKNOWN. Raft never answers the futures that are in its channels when it is
// shut down, so this follows the shutdown.
func (p *proposer) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := range p.inFlight {
		p.settle(e, nil, entryError(raft.ErrRaftShutdown, nil))
	}
}

// run proposes until stop. One goroutine owns it.
func (p *proposer) run() {
	defer close(p.finished)
	for e := p.next(); e != nil; e = p.next() {
		p.send(e)
	}
}

// next waits until an entry can be proposed; nil after stop.
func (p *proposer) next() *entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.stopped {
		if p.open && len(p.inFlight) < maxEntriesInFlight {
			if e := p.gather(); e != nil {
				p.inFlight[e] = struct{}{}
				return e
			}
		}
		p.wake.Wait()
	}
	return nil
}

func (p *proposer) send(e *entry) {
	data, err := fsmcommand.Encode(e.command, p.seams.format())
	if err != nil {
		p.finish(e, nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INTERNAL, "encode a command: %w", err))
		return
	}
	future := p.seams.propose(data)
	// It ends with its future; the few that Raft never answers are given up when the process stops (abandon).
	go func() {
		if err := future.Error(); err != nil {
			p.finish(e, nil, entryError(err, p.seams.hint()))
			return
		}
		applied, ok := future.Response().(*fsm.Applied)
		if !ok {
			p.finish(e, nil, kverr.Unknown(pb.ErrorCode_ERROR_CODE_INTERNAL, "the state machine gave no result"))
			return
		}
		p.finish(e, applied, nil)
	}()
}

func (p *proposer) finish(e *entry, applied *fsm.Applied, err *kverr.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(e, applied, err)
	p.wake.Signal()
}

// settle answers an entry's writes, once. The caller holds the lock.
func (p *proposer) settle(e *entry, applied *fsm.Applied, err *kverr.Error) {
	if _, ok := p.inFlight[e]; !ok {
		return
	}
	delete(p.inFlight, e)
	e.settle(applied, err)
	p.settled()
}

// settled closes drained once stop was called and nothing is in flight. The caller holds the lock.
func (p *proposer) settled() {
	if !p.stopped || len(p.inFlight) > 0 {
		return
	}
	select {
	case <-p.drained:
	default:
		close(p.drained)
	}
}

// leave answers w because its caller waits no longer. Its queued writes will never be proposed.
func (p *proposer) leave(w *waiting, queued, proposed *kverr.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	inFlight := w.proposed
	p.refuseQueued(w, queued)
	for i := range inFlight {
		w.answer(i, fsm.Result{Err: proposed})
	}
}

func (p *proposer) refuseAll(err *kverr.Error) {
	for at := p.queue.Front(); at != nil; at = p.queue.Front() {
		p.refuseQueued(at.Value.(*waiting), err)
	}
}

// refuseQueued answers those of w's writes that were not proposed, and takes w out of the queue.
func (p *proposer) refuseQueued(w *waiting, err *kverr.Error) {
	w.refuseQueued(err)
	p.unqueue(w)
}

func (p *proposer) unqueue(w *waiting) {
	if w.place != nil {
		p.queue.Remove(w.place)
		p.queued -= w.queued
		w.place = nil
	}
	w.letGo()
}

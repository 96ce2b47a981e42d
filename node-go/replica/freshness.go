package replica

import (
	"context"
	"sync"
	"time"

	"kvorum/node/clock"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// AskIndex asks the leader for a read index: whoever has applied everything up to it has everything that was acknowledged
// before the question. It must make sure that it is this very node who answers. One question at a time.
type AskIndex func(ctx context.Context, leader Peer) (uint64, error)

const (
	// freshPatience is how long a read waits here for a proof. Another replica may have one, and the leader can make one.
	// Less than a client takes for the silence of a node that has stopped.
	freshPatience = 150 * time.Millisecond
	// askLimit bounds a question to the leader: one that is stopped keeps its connections, and the next question goes to
	// its successor.
	askLimit = 500 * time.Millisecond
	// catchUpLimit bounds the wait for the state machine. An idle leader tells its followers of a commit after up to twice
	// the commit time-out.
	catchUpLimit = time.Second
	// freshRetry is between two proofs of which the first has failed.
	freshRetry = 10 * time.Millisecond
	// renewal: a proof that has used up this part of somebody's bound is made anew beside the answer.
	renewal = 2
)

// freshness knows how new the state of this node is proven to be, and lets reads with a bound of staleness wait for as
// much as they need.
//
// A proof is a moment t0 of this node's own clock: everything that was acknowledged to anybody before t0 is applied here.
// It is made by taking t0 first, then asking the leader for a read index, which it confirms by a majority, and then waiting
// until that is applied here. When something was received says nothing: it may have been under way for long.
//
// A proof stays true for ever, because applied state never goes back: not by a restore (fsm refuses older snapshots), nor
// when this node is deposed, cut off or removed. It only grows old. DESIGN.md has the argument in full.
type freshness struct {
	seams freshnessSeams
	// life ends with stop.
	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup

	mu sync.Mutex
	// proven is t0 of the newest proof; zero when there is none.
	proven time.Time
	// grown closes when proven grows; nil when nobody waits for that.
	grown chan struct{}
	// waiting counts reads that wait, needed is the newest moment that one of them has asked for.
	waiting int
	needed  time.Time
	running bool
	stopped bool
	// failure is why the last proof did not come about, nil when it did.
	failure error
}

// freshnessSeams is what freshness needs of the rest of the node.
type freshnessSeams struct {
	// readIndex is the confirmer's; NOT_LEADER names the leader, if it is known.
	readIndex func(ctx context.Context, deadline time.Time) (uint64, *kverr.Error)
	// ask may be nil: then only the leader makes proofs.
	ask AskIndex
	// waitApplied returns when the state machine has seen everything up to index.
	waitApplied func(ctx context.Context, index uint64) error
	clock       clock.Clock
}

func newFreshness(seams freshnessSeams) *freshness {
	f := &freshness{seams: seams}
	f.life, f.end = context.WithCancel(context.Background())
	return f
}

// note takes a proof.
func (f *freshness) note(t0 time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = nil
	if !t0.After(f.proven) {
		return
	}
	f.proven = t0
	if f.grown != nil {
		close(f.grown)
		f.grown = nil
	}
}

// await returns nil when the state here is at least as new as the shard's was `bound` before `arrived`, which is a moment
// at which the read had begun. Its errors are NOT_APPLIED.
func (f *freshness) await(ctx context.Context, arrived time.Time, bound time.Duration, deadline time.Time) *kverr.Error {
	if f.suffices(arrived, bound) {
		return nil
	}
	timer := f.seams.clock.NewTimer(min(deadline.Sub(f.seams.clock.Now()), freshPatience))
	defer timer.Stop()
	f.enter(arrived.Add(-bound))
	defer f.leave()
	for {
		grown, enough := f.look(arrived, bound)
		if enough {
			return nil
		}
		select {
		case <-grown:
		case <-timer.C():
			return f.unproven(bound)
		case <-ctx.Done():
			return cancelledRead()
		case <-f.life.Done():
			return stopping()
		}
	}
}

// suffices says whether the newest proof is enough, and has it renewed in time for the next read of this kind: nobody else
// does, so where nobody reads nothing is asked.
func (f *freshness) suffices(arrived time.Time, bound time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	age := clock.Elapsed(f.proven, arrived)
	if f.proven.IsZero() || age > bound {
		return false
	}
	if age > bound/renewal {
		f.start()
	}
	return true
}

// look is suffices for a read that waits: it gives what to wait for.
func (f *freshness) look(arrived time.Time, bound time.Duration) (grown <-chan struct{}, enough bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.proven.IsZero() && clock.Elapsed(f.proven, arrived) <= bound {
		return nil, true
	}
	f.start()
	if f.grown == nil {
		f.grown = make(chan struct{})
	}
	return f.grown, false
}

func (f *freshness) enter(needed time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting++
	if needed.After(f.needed) {
		f.needed = needed
	}
}

func (f *freshness) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting--
}

// start makes a proof, unless one is being made. The caller holds mu.
func (f *freshness) start() {
	if f.running || f.stopped {
		return
	}
	f.running = true
	f.work.Go(f.run)
}

// run makes proofs as long as somebody waits for one. One serves everybody who had begun to wait before it began.
func (f *freshness) run() {
	for err := f.prove(); f.goOn(err); err = f.prove() {
		if err != nil {
			// Its only error is the end of life, which ends the next proof too.
			_ = clock.Wait(f.life, f.seams.clock, freshRetry)
		}
	}
}

func (f *freshness) goOn(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = err
	f.running = !f.stopped && f.waiting > 0 && (err != nil || f.needed.After(f.proven))
	return f.running
}

// prove makes one proof. t0 is taken before anything is asked: what is asked afterwards can only be newer.
func (f *freshness) prove() error {
	ctx, cancel := context.WithCancel(f.life)
	defer cancel()
	t0 := f.seams.clock.Now()
	limit := f.seams.clock.AfterFunc(askLimit, cancel)
	defer limit.Stop()
	index, err := f.readIndex(ctx, t0.Add(askLimit))
	if err != nil {
		return err
	}
	limit.Reset(catchUpLimit)
	if err := f.seams.waitApplied(ctx, index); err != nil {
		return err
	}
	f.note(t0)
	return nil
}

// readIndex is this node's own when it leads, and else the leader's.
func (f *freshness) readIndex(ctx context.Context, deadline time.Time) (uint64, error) {
	index, err := f.seams.readIndex(ctx, deadline)
	if err == nil {
		return index, nil
	}
	if err.Code != pb.ErrorCode_ERROR_CODE_NOT_LEADER || err.Leader == nil || f.seams.ask == nil {
		return 0, err
	}
	return f.seams.ask(ctx, Peer{ID: err.Leader.NodeId, Address: err.Leader.Address})
}

func (f *freshness) unproven(bound time.Duration) *kverr.Error {
	f.mu.Lock()
	defer f.mu.Unlock()
	const words = "this replica cannot prove in time that its state is within %s of now: ask another one, or the leader without a bound"
	if f.failure == nil {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, words, bound)
	}
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, words+": %w", bound, f.failure)
}

// stop ends every wait and returns when no proof is being made.
func (f *freshness) stop() {
	f.mu.Lock()
	f.stopped = true
	f.mu.Unlock()
	f.end()
	f.work.Wait()
}

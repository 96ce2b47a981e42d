package replica

import (
	"context"
	"sync"
	"time"

	"kvorum/node/clock"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// After askPatience without enough answers everybody is asked, and again after twice that, up to askPatienceMax.
const (
	askPatience    = 3 * time.Millisecond
	askPatienceMax = 50 * time.Millisecond
)

// confirmer proves, for all reads that wait, that the state machine of this node holds everything that was acknowledged
// before they arrived.
//
// A confirmation begins at t0, takes the commit index, sends heartbeats (asker), and waits until a majority of the
// current voters has acknowledged, in this term, a message sent after t0. Then no newer leader had been elected when t0
// passed: a majority voted for it, some voter is in both majorities, and it would have refused our term. So whatever was
// acknowledged before t0 was committed by this leader or an earlier one and is at or below the commit index: apply up
// to there, and read. Raft's own VerifyLeader may count an acknowledgement that was under way before the call.
//
// One confirmation is in flight at a time. Reads that arrive meanwhile wait for the next one, together: the one in
// flight began before they arrived.
type confirmer struct {
	seams confirmerSeams

	mu sync.Mutex
	// next is what gathers for the confirmation after the one in flight; nil when nobody waits.
	next    *confirmation
	running bool
	stopped bool
	// idle tells stop that running became false.
	idle *sync.Cond
}

// confirmerSeams is what the confirmer needs of the rest of the node.
type confirmerSeams struct {
	leadership *leadership
	// commitIndex is Raft's.
	commitIndex func() uint64
	// ask sends heartbeats of the term to as many voters as are needed, or to everybody, without waiting for answers.
	ask func(term uint64, everybody bool)
	// acked says whether a majority of the current voters has acknowledged, in this term, a message sent after `since`.
	acked func(term uint64, since time.Time) bool
	// acks is a channel that closes at the next acknowledgement.
	acks func() <-chan struct{}
	// waitApplied returns when the state machine has seen everything up to index.
	waitApplied func(ctx context.Context, index uint64) error
	// hint is who leads, nil when unknown.
	hint func() *pb.LeaderHint
	// proven is told of each proof: everything that was acknowledged before t0 is applied.
	proven func(t0 time.Time)
	clock  clock.Clock
}

// confirmation is one proof, and everybody who waits for it.
type confirmation struct {
	done chan struct{}
	// index holds everything that was acknowledged before the confirmation began.
	index uint64
	err   *kverr.Error
}

func newConfirmer(seams confirmerSeams) *confirmer {
	c := &confirmer{seams: seams}
	c.idle = sync.NewCond(&c.mu)
	return c
}

// confirm returns nil when the state machine may be read. Its errors are NOT_APPLIED.
func (c *confirmer) confirm(ctx context.Context, deadline time.Time) *kverr.Error {
	_, err := c.readIndex(ctx, deadline)
	return err
}

// readIndex gives an index that holds everything that was acknowledged before the call; it is applied here.
func (c *confirmer) readIndex(ctx context.Context, deadline time.Time) (uint64, *kverr.Error) {
	mine := c.join()
	if mine == nil {
		return 0, stopping()
	}
	timer := c.seams.clock.NewTimer(deadline.Sub(c.seams.clock.Now()))
	defer timer.Stop()
	select {
	case <-mine.done:
		return mine.index, mine.err
	case <-timer.C():
		return 0, deadlineRead()
	case <-ctx.Done():
		return 0, cancelledRead()
	}
}

// join waits with the others for the next confirmation, and starts it when none is in flight.
func (c *confirmer) join() *confirmation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	if c.next == nil {
		c.next = &confirmation{done: make(chan struct{})}
	}
	mine := c.next
	if !c.running {
		c.running = true
		go c.run()
	}
	return mine
}

// run makes confirmations as long as somebody waits for one.
func (c *confirmer) run() {
	for current := c.take(); current != nil; current = c.take() {
		current.index, current.err = c.prove()
		close(current.done)
	}
}

// take closes the gathering confirmation to newcomers; from here on it may be proven.
func (c *confirmer) take() *confirmation {
	c.mu.Lock()
	defer c.mu.Unlock()
	current := c.next
	c.next = nil
	if current == nil {
		c.running = false
		c.idle.Broadcast()
	}
	return current
}

// stop refuses further reads and returns when none waits. The leadership must have ended: that ends every proof.
func (c *confirmer) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for c.running {
		c.idle.Wait()
	}
}

func (c *confirmer) prove() (uint64, *kverr.Error) {
	s := c.readySession()
	if s == nil {
		return 0, notLeader(c.seams.hint())
	}
	since := c.seams.clock.Now()
	index := c.seams.commitIndex()
	if !c.awaitAcks(s, since) || !c.seams.leadership.stillLeads(s) {
		return 0, notLeader(c.seams.hint())
	}
	if err := c.seams.waitApplied(s.ctx, index); err != nil {
		if s.ctx.Err() != nil {
			return 0, notLeader(c.seams.hint())
		}
		return 0, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "wait for the state machine: %w", err)
	}
	c.seams.proven(since)
	return index, nil
}

// awaitAcks returns true when a majority has acknowledged a message sent after `since`, false when leadership ended
// first. It ends: Raft gives leadership up when a majority is silent for the lease time-out.
func (c *confirmer) awaitAcks(s *tenure, since time.Time) bool {
	if c.seams.acked(s.term, since) {
		// The only voter needs nobody's word.
		return true
	}
	c.seams.ask(s.term, false)
	patience := askPatience
	timer := c.seams.clock.NewTimer(patience)
	defer timer.Stop()
	for {
		next := c.seams.acks()
		if c.seams.acked(s.term, since) {
			return true
		}
		select {
		case <-next:
		case <-timer.C():
			c.seams.ask(s.term, true)
			patience = min(2*patience, askPatienceMax)
			timer.Reset(patience)
		case <-s.ctx.Done():
			return false
		}
	}
}

// readySession waits until this node's leadership is ready; nil when it does not lead.
func (c *confirmer) readySession() *tenure {
	for {
		// The order matters: if Raft leads after no tenure was seen, the notice that begins one is still to come.
		s, changed := c.seams.leadership.tenure()
		if s == nil {
			if !c.seams.leadership.seams.leads() {
				return nil
			}
			<-changed
			continue
		}
		select {
		case <-s.ready:
			return s
		case <-s.ctx.Done():
		}
	}
}

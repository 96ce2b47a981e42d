package replica

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"

	"kvorum/node/clock/clocktest"
	"kvorum/node/fsm"
)

// leadershipBench is a leadership over a fake Raft.
type leadershipBench struct {
	*leadership
	raft    *fakeRaft
	clock   *clocktest.Manual
	ready   chan struct{}
	lost    chan struct{}
	noticed chan struct{}
	stop    chan struct{}
}

func startLeadership(t *testing.T) *leadershipBench {
	t.Helper()
	b := &leadershipBench{
		raft: newFakeRaft(), clock: clocktest.New(),
		ready: make(chan struct{}, 16), lost: make(chan struct{}, 16), noticed: make(chan struct{}, 64), stop: make(chan struct{}),
	}
	b.leadership = newLeadership(leadershipSeams{
		notices: b.raft.notices, term: b.raft.term.Load, leads: b.raft.leads.Load,
		open:    func() (raft.ApplyFuture, error) { return b.raft.apply(nil), nil },
		ready:   func() { b.ready <- struct{}{} },
		lost:    func() { b.lost <- struct{}{} },
		noticed: func() { b.noticed <- struct{}{} },
		lead:    func(context.Context) {},
		clock:   b.clock, log: slog.New(slog.DiscardHandler),
	})
	go b.run(b.stop)
	t.Cleanup(func() {
		close(b.stop)
		<-b.finished
	})
	return b
}

// lead makes the fake Raft lead in a term, and gives the future of the term's first command.
func (b *leadershipBench) lead(t *testing.T, term uint64) *fakeFuture {
	t.Helper()
	b.raft.term.Store(term)
	b.raft.leads.Store(true)
	b.raft.notices <- true
	return b.raft.next(t)
}

func (b *leadershipBench) lose(t *testing.T) {
	t.Helper()
	b.raft.leads.Store(false)
	b.raft.notices <- false
	receive(t, b.lost)
}

func TestALeaderIsReadyOnceItsFirstCommandIsApplied(t *testing.T) {
	b := startLeadership(t)
	first := b.lead(t, 3)
	s, _ := b.tenure()
	if s == nil || s.term != 3 || b.isReady() {
		t.Fatalf("tenure %+v, ready %v", s, b.isReady())
	}
	first.succeed(&fsm.Applied{})
	receive(t, b.ready)
	receive(t, s.ready)
	if !b.isReady() || !b.stillLeads(s) {
		t.Fatal("not ready after its first command")
	}
	b.lose(t)
	receive(t, s.ctx.Done())
	if b.isReady() || b.stillLeads(s) {
		t.Fatal("ready after leadership was lost")
	}
}

func TestAFirstCommandThatIsAppliedTooLateOpensNothing(t *testing.T) {
	b := startLeadership(t)
	first := b.lead(t, 3)
	b.lose(t)
	second := b.lead(t, 4)
	first.succeed(&fsm.Applied{})
	second.succeed(&fsm.Applied{})
	receive(t, b.ready)
	s, _ := b.tenure()
	if s.term != 4 {
		t.Fatalf("tenure of term %d", s.term)
	}
	nothing(t, b.ready, "the lost leadership became ready too")
	b.lose(t)
}

func TestAFailedFirstCommandLeavesTheLeaderUnready(t *testing.T) {
	for name, fail := range map[string]func(*fakeFuture){
		"leadership lost":       func(f *fakeFuture) { f.fail(raft.ErrLeadershipLost) },
		"state machine stopped": func(f *fakeFuture) { f.succeed(&fsm.Applied{Err: stopping()}) },
		"log store failed":      func(f *fakeFuture) { f.fail(errors.New("disk")) },
	} {
		t.Run(name, func(t *testing.T) {
			b := startLeadership(t)
			fail(b.lead(t, 3))
			b.lose(t)
			nothing(t, b.ready, "ready")
		})
	}
}

func TestAFirstCommandIsProposedAgainAfterATransferThatCameToNothing(t *testing.T) {
	b := startLeadership(t)
	b.lead(t, 3).fail(raft.ErrLeadershipTransferInProgress)
	b.clock.AwaitTimers(1)
	b.clock.Advance(openRetry)
	b.raft.next(t).succeed(&fsm.Applied{})
	receive(t, b.ready)
	b.lose(t)
}

func TestALeaderOfAnotherTermIsNotTheSameSession(t *testing.T) {
	b := startLeadership(t)
	b.lead(t, 3).succeed(&fsm.Applied{})
	receive(t, b.ready)
	s, _ := b.tenure()
	b.raft.term.Store(4)
	if b.stillLeads(s) {
		t.Fatal("a tenure outlived its term")
	}
	b.lose(t)
}

func TestWhoeverWaitsForASessionLearnsOfTheEnd(t *testing.T) {
	b := startLeadership(t)
	_, changed := b.tenure()
	b.lead(t, 1).fail(raft.ErrLeadershipLost)
	receive(t, changed)
	s, _ := b.tenure()
	b.lose(t)
	if !errors.Is(s.ctx.Err(), context.Canceled) {
		t.Fatal("the tenure's context goes on")
	}
}

func TestALeaderIsInContactWithOne(t *testing.T) {
	c := newCluster(t, 2, patient, nil)
	for _, n := range c.nodes {
		n.open()
		if contact := n.lastContact(); !contact.IsZero() {
			t.Fatalf("a node that nobody has spoken to was in contact at %s", contact)
		}
	}
	for _, n := range c.nodes {
		if err := n.Bootstrap(c.ctx, ids(c.nodes)); err != nil {
			t.Fatal(err)
		}
	}
	if c.leader().lastContact().IsZero() {
		t.Fatal("a leader was never in contact with one")
	}
}

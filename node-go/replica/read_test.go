package replica

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"kvorum/node/clock/clocktest"
	"kvorum/node/fsm"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// confirmerBench is a confirmer over a fake Raft that leads, and is ready, in term 3.
type confirmerBench struct {
	*confirmer
	leadership *leadershipBench
	clock      *clocktest.Manual
	asked      chan bool // everybody
	applyWaits chan uint64

	mu      sync.Mutex
	commit  uint64
	ackedAt time.Time // every voter has acknowledged a message sent then
	signal  *Signal
	applied error
}

func startConfirmer(t *testing.T) *confirmerBench {
	t.Helper()
	l := startLeadership(t)
	b := &confirmerBench{
		leadership: l, clock: l.clock, asked: make(chan bool, 64), applyWaits: make(chan uint64, 64), signal: NewSignal(),
	}
	b.confirmer = newConfirmer(confirmerSeams{
		leadership: l.leadership,
		commitIndex: func() uint64 {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.commit
		},
		ask: func(term uint64, everybody bool) {
			if term != 3 {
				t.Errorf("asked in term %d", term)
			}
			b.asked <- everybody
		},
		acked: func(term uint64, since time.Time) bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return term == 3 && b.ackedAt.After(since)
		},
		acks: b.signal.Next,
		waitApplied: func(_ context.Context, index uint64) error {
			b.applyWaits <- index
			return b.applied
		},
		hint:   func() *pb.LeaderHint { return l.raft.hint },
		proven: func(time.Time) {},
		clock:  l.clock,
	})
	return b
}

func (b *confirmerBench) lead(t *testing.T) {
	t.Helper()
	b.leadership.lead(t, 3).succeed(&fsm.Applied{})
	receive(t, b.leadership.ready)
}

// ack makes a majority acknowledge a message that is sent now.
func (b *confirmerBench) ack() {
	b.clock.Advance(time.Millisecond)
	b.mu.Lock()
	b.ackedAt = b.clock.Now()
	b.mu.Unlock()
	b.signal.Raise()
}

func (b *confirmerBench) read(t *testing.T) <-chan *kverr.Error {
	t.Helper()
	return background(func() *kverr.Error {
		return b.confirm(context.Background(), b.clock.Now().Add(time.Minute))
	})
}

func expectNil(t *testing.T, err *kverr.Error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expectNotLeader(t *testing.T, err *kverr.Error) {
	t.Helper()
	if err == nil || err.Code != pb.ErrorCode_ERROR_CODE_NOT_LEADER || err.Outcome != notApplied {
		t.Fatalf("got %v", err)
	}
}

func TestAReadWaitsForAMajoritysWordOnAMessageSentAfterIt(t *testing.T) {
	b := startConfirmer(t)
	b.lead(t)
	b.ack() // of a message sent before the read: it proves nothing
	b.mu.Lock()
	b.commit = 41
	b.mu.Unlock()
	answer := b.read(t)
	receive(t, b.asked)
	b.signal.Raise() // a minority's word
	nothing(t, answer, "answered on an old acknowledgement")
	b.mu.Lock()
	b.commit = 50 // what comes after the read began need not be waited for
	b.mu.Unlock()
	b.ack()
	expectNil(t, receive(t, answer))
	if index := receive(t, b.applyWaits); index != 41 {
		t.Fatalf("waited for %d, want the commit index when the read began", index)
	}
	b.leadership.lose(t)
}

func TestReadsThatArriveDuringAConfirmationShareTheNextOne(t *testing.T) {
	b := startConfirmer(t)
	b.lead(t)
	first := b.read(t)
	receive(t, b.asked)
	var rest []<-chan *kverr.Error
	for i := range 10 {
		rest = append(rest, b.read(t))
		// The first one's, that of the confirmation under way, and one for each of these.
		b.clock.AwaitTimers(3 + i)
	}
	b.ack()
	expectNil(t, receive(t, first))
	receive(t, b.asked)
	for _, answer := range rest {
		nothing(t, answer, "a read was confirmed by a message sent before it arrived")
	}
	b.ack()
	for _, answer := range rest {
		expectNil(t, receive(t, answer))
	}
	nothing(t, b.asked, "more confirmations than needed")
	b.leadership.lose(t)
}

func TestALeaderThatIsDeposedMeanwhileAnswersNothing(t *testing.T) {
	t.Run("told by Raft", func(t *testing.T) {
		b := startConfirmer(t)
		b.lead(t)
		answer := b.read(t)
		receive(t, b.asked)
		b.leadership.lose(t)
		expectNotLeader(t, receive(t, answer))
	})
	t.Run("acknowledged, but not leading any more", func(t *testing.T) {
		b := startConfirmer(t)
		b.lead(t)
		answer := b.read(t)
		receive(t, b.asked)
		b.leadership.raft.leads.Store(false)
		b.ack()
		expectNotLeader(t, receive(t, answer))
		b.leadership.lose(t)
	})
	t.Run("acknowledged, but in another term", func(t *testing.T) {
		b := startConfirmer(t)
		b.lead(t)
		answer := b.read(t)
		receive(t, b.asked)
		b.leadership.raft.term.Store(4)
		b.ack()
		expectNotLeader(t, receive(t, answer))
		b.leadership.lose(t)
	})
}

func TestAReadBeforeTheFirstCommandOfTheTermWaitsForIt(t *testing.T) {
	b := startConfirmer(t)
	first := b.leadership.lead(t, 3)
	answer := b.read(t)
	b.clock.AwaitTimers(1)
	nothing(t, b.asked, "a confirmation began before the leader was ready")
	first.succeed(&fsm.Applied{})
	receive(t, b.asked)
	b.ack()
	expectNil(t, receive(t, answer))
	b.leadership.lose(t)
}

func TestAFollowerRefusesReads(t *testing.T) {
	b := startConfirmer(t)
	err := receive(t, b.read(t))
	expectNotLeader(t, err)
	if err.Leader != b.leadership.raft.hint {
		t.Fatalf("got hint %v", err.Leader)
	}
}

func TestAReadEndsAtItsDeadlineAndWithItsCaller(t *testing.T) {
	b := startConfirmer(t)
	b.lead(t)
	ctx, leave := context.WithCancel(context.Background())
	left := background(func() *kverr.Error { return b.confirm(ctx, b.clock.Now().Add(time.Minute)) })
	receive(t, b.asked)
	b.clock.AwaitTimers(2)
	leave()
	if err := receive(t, left); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_CANCELLED {
		t.Fatalf("got %v", err)
	}
	late := b.read(t)
	b.clock.AwaitTimers(2)
	b.clock.Advance(time.Minute)
	if err := receive(t, late); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED || err.Outcome != notApplied {
		t.Fatalf("got %v", err)
	}
	b.leadership.lose(t)
}

func TestAStateMachineThatCannotGoOnFailsReads(t *testing.T) {
	b := startConfirmer(t)
	b.applied = errors.New("stopped")
	b.lead(t)
	answer := b.read(t)
	receive(t, b.asked)
	b.ack()
	if err := receive(t, answer); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_UNAVAILABLE || err.Outcome != notApplied {
		t.Fatalf("got %v", err)
	}
	b.leadership.lose(t)
}

func TestStopWaitsForConfirmations(t *testing.T) {
	b := startConfirmer(t)
	b.lead(t)
	answer := b.read(t)
	receive(t, b.asked)
	b.leadership.lose(t)
	b.confirmer.stop()
	expectNotLeader(t, receive(t, answer))
	if err := receive(t, b.read(t)); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_UNAVAILABLE {
		t.Fatalf("got %v", err)
	}
}

func TestEverybodyIsAskedWhenAFewTakeTooLong(t *testing.T) {
	b := startConfirmer(t)
	b.lead(t)
	answer := b.read(t)
	for wait := askPatience; ; wait = min(2*wait, askPatienceMax) {
		if everybody := receive(t, b.asked); everybody != (wait > askPatience) {
			t.Fatalf("everybody asked: %t", everybody)
		}
		if wait == askPatienceMax {
			break
		}
		b.clock.AwaitTimers(2)
		b.clock.Advance(wait)
	}
	b.ack()
	expectNil(t, receive(t, answer))
	b.leadership.lose(t)
}

package replica

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"kvorum/node/clock/clocktest"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// freshnessBench is a follower: whom it asks, and what it has applied, is the test's.
type freshnessBench struct {
	*freshness
	clock   *clocktest.Manual
	asked   chan Peer
	answers chan uint64
	applies chan uint64
	applied chan error
}

func startFreshness(t *testing.T) *freshnessBench {
	t.Helper()
	b := &freshnessBench{
		clock: clocktest.New(), asked: make(chan Peer, 64), answers: make(chan uint64),
		applies: make(chan uint64, 64), applied: make(chan error),
	}
	b.freshness = newFreshness(freshnessSeams{
		readIndex: func(context.Context, time.Time) (uint64, *kverr.Error) {
			return 0, notLeader(&pb.LeaderHint{NodeId: "leader", Address: "there"})
		},
		ask: func(ctx context.Context, leader Peer) (uint64, error) {
			b.asked <- leader
			select {
			case index := <-b.answers:
				return index, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		},
		waitApplied: func(ctx context.Context, index uint64) error {
			b.applies <- index
			select {
			case err := <-b.applied:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		clock: b.clock,
	})
	t.Cleanup(b.stop)
	return b
}

// read begins now.
func (b *freshnessBench) read(bound time.Duration) <-chan *kverr.Error {
	arrived := b.clock.Now()
	return background(func() *kverr.Error {
		return b.await(context.Background(), arrived, bound, arrived.Add(time.Minute))
	})
}

func (b *freshnessBench) lastFailure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure
}

// finish lets the proof under way come about.
func (b *freshnessBench) finish(t *testing.T, index uint64) {
	t.Helper()
	b.answers <- index
	if waited := receive(t, b.applies); waited != index {
		t.Fatalf("waited for %d, the leader said %d", waited, index)
	}
	b.applied <- nil
}

// proven has a proof that began now.
func (b *freshnessBench) provenNow(t *testing.T) {
	t.Helper()
	answer := b.read(0)
	receive(t, b.asked)
	b.finish(t, 1)
	expectNil(t, receive(t, answer))
	b.work.Wait()
}

func expectUnproven(t *testing.T, err *kverr.Error) {
	t.Helper()
	if err == nil || err.Code != pb.ErrorCode_ERROR_CODE_UNAVAILABLE || err.Outcome != notApplied {
		t.Fatalf("got %v", err)
	}
}

func TestAStaleReadWaitsForAProof(t *testing.T) {
	b := startFreshness(t)
	answer := b.read(time.Second)
	if leader := receive(t, b.asked); leader != (Peer{ID: "leader", Address: "there"}) {
		t.Fatalf("asked %v", leader)
	}
	b.answers <- 41
	if index := receive(t, b.applies); index != 41 {
		t.Fatalf("waits for %d", index)
	}
	nothing(t, answer, "answered before the index was applied")
	b.applied <- nil
	expectNil(t, receive(t, answer))
}

func TestAProofAsOldAsItsQuestion(t *testing.T) {
	b := startFreshness(t)
	first := b.read(0)
	receive(t, b.asked)
	// The answer was under way for 80 ms, and the state machine took 20.
	b.clock.Advance(80 * time.Millisecond)
	b.answers <- 1
	receive(t, b.applies)
	b.clock.Advance(20 * time.Millisecond)
	b.applied <- nil
	expectNil(t, receive(t, first))
	b.work.Wait()
	expectNil(t, receive(t, b.read(100*time.Millisecond)))
	receive(t, b.asked) // what is nearly used up is renewed
	late := b.read(99 * time.Millisecond)
	b.clock.AwaitTimers(2)
	nothing(t, late, "answered on a proof that is 100 ms old")
	b.finish(t, 2)
	expectNil(t, receive(t, late))
}

func TestOneProofServesAllThatWait(t *testing.T) {
	b := startFreshness(t)
	var waiting []<-chan *kverr.Error
	for i := range 5 {
		waiting = append(waiting, b.read(time.Duration(i)*time.Millisecond))
	}
	receive(t, b.asked)
	// The question is no older than any of them.
	b.finish(t, 7)
	for _, answer := range waiting {
		expectNil(t, receive(t, answer))
	}
	b.work.Wait()
	nothing(t, b.asked, "asked again, although nobody waited")
}

func TestAReadThatArrivesMeanwhileNeedsTheNextProof(t *testing.T) {
	b := startFreshness(t)
	first := b.read(0)
	receive(t, b.asked)
	b.clock.Advance(10 * time.Millisecond)
	tight, loose := b.read(9*time.Millisecond), b.read(10*time.Millisecond)
	b.clock.AwaitTimers(4) // three reads and the limit of the question
	b.finish(t, 7)
	expectNil(t, receive(t, first))
	expectNil(t, receive(t, loose))
	receive(t, b.asked)
	nothing(t, tight, "answered on a question from before the bound")
	b.finish(t, 8)
	expectNil(t, receive(t, tight))
}

func TestAProofIsRenewedOnlyForThoseWhoRead(t *testing.T) {
	b := startFreshness(t)
	b.provenNow(t)
	b.clock.Advance(time.Minute)
	nothing(t, b.asked, "asked although nobody reads")
	b.provenNow(t)
	b.clock.Advance(500 * time.Millisecond)
	expectNil(t, receive(t, b.read(time.Second)))
	nothing(t, b.asked, "asked although the proof is young")
	b.clock.Advance(time.Millisecond)
	expectNil(t, receive(t, b.read(time.Second)))
	receive(t, b.asked)
	b.finish(t, 9)
}

func TestAReadWithoutAProofIsSentElsewhere(t *testing.T) {
	b := startFreshness(t)
	b.provenNow(t)
	b.clock.Advance(time.Second)
	answer := b.read(time.Second - time.Millisecond)
	receive(t, b.asked)
	b.clock.Advance(freshPatience)
	expectUnproven(t, receive(t, answer))
	// The last proof is as true as before.
	expectNil(t, receive(t, b.read(2*time.Second)))
}

func TestAFailedProofIsTriedAgainWhileSomebodyWaits(t *testing.T) {
	b := startFreshness(t)
	answer := b.read(time.Second)
	receive(t, b.asked)
	b.answers <- 5
	receive(t, b.applies)
	b.applied <- errors.New("not yet")
	for b.lastFailure() == nil {
		runtime.Gosched()
	}
	b.clock.AwaitTimers(2)
	b.clock.Advance(freshRetry)
	receive(t, b.asked)
	b.clock.Advance(freshPatience - freshRetry)
	err := receive(t, answer)
	expectUnproven(t, err)
	if cause := err.Unwrap(); cause == nil || cause.Error() != "not yet" {
		t.Fatalf("the cause is %v", cause)
	}
	// Nobody waits: the question that a stopped leader has got is given up, and no other one is asked.
	b.clock.Advance(askLimit)
	b.work.Wait()
	nothing(t, b.asked, "asked for nobody")
}

func TestAReadWithABoundEndsWithItsCallerAndWithTheNode(t *testing.T) {
	b := startFreshness(t)
	ctx, leave := context.WithCancel(context.Background())
	arrived := b.clock.Now()
	left := background(func() *kverr.Error { return b.await(ctx, arrived, 0, arrived.Add(time.Minute)) })
	receive(t, b.asked)
	leave()
	if err := receive(t, left); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_CANCELLED {
		t.Fatalf("got %v", err)
	}
	waiting := b.read(0)
	b.clock.AwaitTimers(2)
	b.stop()
	expectUnproven(t, receive(t, waiting))
	expectUnproven(t, receive(t, b.read(0)))
}

func TestTheLeadersOwnConfirmationsAreProofs(t *testing.T) {
	b := startConfirmer(t)
	b.lead(t)
	var f *freshness
	b.confirmer.seams.proven = func(t0 time.Time) { f.note(t0) }
	f = newFreshness(freshnessSeams{
		readIndex: b.confirmer.readIndex, clock: b.clock,
		waitApplied: func(context.Context, uint64) error { return nil },
	})
	defer f.stop()
	answer := b.read(t)
	receive(t, b.asked)
	asked := b.clock.Now()
	b.ack()
	expectNil(t, receive(t, answer))
	arrived := asked.Add(time.Second)
	expectNil(t, f.await(context.Background(), arrived, time.Second, arrived))
	nothing(t, b.asked, "asked although a read has just been confirmed")
	b.leadership.lose(t)
}

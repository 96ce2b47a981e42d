package replica

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock/clocktest"
	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
)

const (
	notApplied = pb.Outcome_OUTCOME_NOT_APPLIED
	unknown    = pb.Outcome_OUTCOME_UNKNOWN
)

// later is a deadline that no test reaches unless it advances its clock that far.
func later(clock *clocktest.Manual) time.Time { return clock.Now().Add(time.Minute) }

func expectError(t *testing.T, result fsm.Result, code pb.ErrorCode, outcome pb.Outcome) {
	t.Helper()
	if result.Err == nil || result.Err.Code != code || result.Err.Outcome != outcome {
		t.Fatalf("got %+v, want %s %s", result, code, outcome)
	}
}

func TestWritesThatWaitShareAnEntryInTheOrderOfArrival(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	var answers []<-chan []fsm.Result
	for i := range 5 {
		writes := []*command.Write{put(fmt.Sprintf("k%d-a", i), ""), put(fmt.Sprintf("k%d-b", i), "")}
		answers = append(answers, background(func() []fsm.Result {
			return p.write(context.Background(), batchOf(writes...), later(clock), nil)
		}))
		clock.AwaitTimers(i + 1)
	}
	nothing(t, r.proposed, "proposed before this leadership was ready")
	p.ready()
	entry := r.next(t)
	var keys []string
	for _, write := range entry.command(t).GetWrite().Writes {
		keys = append(keys, string(write.GetPut().Key))
	}
	if got, want := strings.Join(keys, " "), "k0-a k0-b k1-a k1-b k2-a k2-b k3-a k3-b k4-a k4-b"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	entry.apply(t)
	for i, answer := range answers {
		results := receive(t, answer)
		for j, result := range results {
			if want := uint64(2*i + j + 1); result.Err != nil || result.Version != want {
				t.Fatalf("message %d write %d: got %+v, want version %d", i, j, result, want)
			}
		}
	}
}

func TestEntriesInFlightAndTheirSizeAreBounded(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	p.ready()
	value := strings.Repeat("v", 200<<10)
	var writes []*command.Write
	for range 13 {
		writes = append(writes, put("k", value))
	}
	writes = append(writes, put("big", strings.Repeat("v", 2*maxEntryBytes)))
	answer := background(func() []fsm.Result { return p.write(context.Background(), batchOf(writes...), later(clock), nil) })
	var entries []*fakeFuture
	for range maxEntriesInFlight {
		entries = append(entries, r.next(t))
	}
	total := 0
	for len(entries) > 0 {
		nothing(t, r.proposed, "more entries in flight than allowed")
		entry := entries[0]
		entries = entries[1:]
		n := len(entry.command(t).GetWrite().Writes)
		if len(entry.data) > maxEntryBytes && n > 1 {
			t.Fatalf("an entry of %d bytes holds %d writes", len(entry.data), n)
		}
		total += n
		more := total+countWrites(t, entries) < len(writes)
		entry.apply(t)
		if more {
			entries = append(entries, r.next(t))
		}
	}
	for i, result := range receive(t, answer) {
		if result.Err != nil {
			t.Fatalf("write %d: %v", i, result.Err)
		}
	}
	if total != len(writes) {
		t.Fatalf("proposed %d writes, want %d", total, len(writes))
	}
}

func countWrites(t *testing.T, entries []*fakeFuture) int {
	n := 0
	for _, entry := range entries {
		n += len(entry.command(t).GetWrite().Writes)
	}
	return n
}

func TestAFollowerRefusesWithAHint(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	p := startProposer(t, r, clock)
	results := p.write(context.Background(), batchOf(put("a", ""), put("b", "")), later(clock), nil)
	for _, result := range results {
		expectError(t, result, pb.ErrorCode_ERROR_CODE_NOT_LEADER, notApplied)
		if result.Err.Leader != r.hint {
			t.Fatalf("got hint %v", result.Err.Leader)
		}
	}
}

func TestLostLeadershipFailsTheQueueAndLeavesFlightsToTheirFutures(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	p.ready()
	flight := background(func() []fsm.Result {
		return p.write(context.Background(), batchOf(put("flight", "")), later(clock), nil)
	})
	entry := r.next(t)
	p.shut() // with nothing queued
	queued := background(func() []fsm.Result {
		return p.write(context.Background(), batchOf(put("queued", "")), later(clock), nil)
	})
	clock.AwaitTimers(2)
	p.shut()
	expectError(t, receive(t, queued)[0], pb.ErrorCode_ERROR_CODE_NOT_LEADER, notApplied)
	nothing(t, flight, "answered before its future")
	entry.fail(raft.ErrLeadershipLost)
	expectError(t, receive(t, flight)[0], pb.ErrorCode_ERROR_CODE_UNAVAILABLE, unknown)
}

func TestADeadlineAnswersQueuedAndProposedWritesHonestly(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	p.ready()
	budget := NewBudget(1 << 20)
	hold := budget.Reserve(1000)
	soon := clock.Now().Add(time.Second)
	// One message, of which one write is proposed while the other does not fit into the entry.
	writes := []*command.Write{put("a", strings.Repeat("v", maxEntryBytes)), put("b", strings.Repeat("v", maxEntryBytes))}
	p.mu.Lock()
	for range maxEntriesInFlight - 1 {
		p.inFlight[&entry{}] = struct{}{} // leaves room for one
	}
	p.mu.Unlock()
	answer := background(func() []fsm.Result { return p.write(context.Background(), batchOf(writes...), soon, hold) })
	hold.Release()
	entry := r.next(t)
	clock.AwaitTimers(1)
	clock.Advance(time.Second)
	results := receive(t, answer)
	expectError(t, results[0], pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED, unknown)
	expectError(t, results[1], pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED, notApplied)
	if budget.Free() != 1<<20-1000 {
		t.Fatalf("the bytes were given back while Raft held them: %d free", budget.Free())
	}
	entry.apply(t)
	drained := p.stop()
	p.abandon() // the entries that took the room
	receive(t, drained)
	if budget.Free() != 1<<20 {
		t.Fatalf("%d bytes are free", budget.Free())
	}
	nothing(t, r.proposed, "a write was proposed after its deadline")
	if results[0].Err == nil {
		t.Fatal("a late future changed an answer that was given")
	}
}

func TestACallerThatLeavesTakesItsQueuedWritesAway(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	ctx, leave := context.WithCancel(context.Background())
	answer := background(func() []fsm.Result {
		return p.write(ctx, batchOf(put("a", "")), later(clock), nil)
	})
	clock.AwaitTimers(1)
	leave()
	expectError(t, receive(t, answer)[0], pb.ErrorCode_ERROR_CODE_CANCELLED, notApplied)
	stays := background(func() []fsm.Result {
		return p.write(context.Background(), batchOf(put("b", "")), later(clock), nil)
	})
	clock.AwaitTimers(1)
	p.ready()
	entry := r.next(t)
	if writes := entry.command(t).GetWrite().Writes; len(writes) != 1 || string(writes[0].GetPut().Key) != "b" {
		t.Fatalf("proposed %v", writes)
	}
	entry.apply(t)
	receive(t, stays)
}

func TestStopAnswersEverybody(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	p.ready()
	flight := background(func() []fsm.Result {
		return p.write(context.Background(), batchOf(put("flight", "")), later(clock), nil)
	})
	entry := r.next(t)
	p.shut()
	queued := background(func() []fsm.Result {
		return p.write(context.Background(), batchOf(put("queued", "")), later(clock), nil)
	})
	clock.AwaitTimers(2)
	r.hint = nil // an orderly end has no next leader yet
	drained := p.stop()
	expectError(t, receive(t, queued)[0], pb.ErrorCode_ERROR_CODE_UNAVAILABLE, notApplied)
	late := p.write(context.Background(), batchOf(put("late", "")), later(clock), nil)
	expectError(t, late[0], pb.ErrorCode_ERROR_CODE_UNAVAILABLE, notApplied)
	r.hint = &pb.LeaderHint{NodeId: "next"}
	late = p.write(context.Background(), batchOf(put("later", "")), later(clock), nil)
	expectError(t, late[0], pb.ErrorCode_ERROR_CODE_NOT_LEADER, notApplied)
	nothing(t, drained, "drained with an entry in flight")
	p.abandon() // Raft was shut down and never answers the future
	expectError(t, receive(t, flight)[0], pb.ErrorCode_ERROR_CODE_UNAVAILABLE, unknown)
	receive(t, drained)
	entry.fail(raft.ErrRaftShutdown) // lets the waiting goroutine end
}

func TestAnAssignmentHasAnEntryOfItsOwn(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	before := background(func() []fsm.Result {
		return p.write(context.Background(), batchOf(put("a", "")), later(clock), nil)
	})
	clock.AwaitTimers(1)
	assigned := background(func() *pb.Error {
		assign := &command.AssignPartitions{Epoch: 3, Owned: []*command.PartitionRange{{First: 0, Last: 9}}}
		if err := p.alone(context.Background(), &command.Command{Kind: &command.Command_Assign{Assign: assign}}, later(clock)).Err; err != nil {
			return err.Proto(0, "")
		}
		return nil
	})
	clock.AwaitTimers(2)
	p.ready()
	first, second := r.next(t), r.next(t)
	if first.command(t).GetWrite() == nil || second.command(t).GetAssign().GetEpoch() != 3 {
		t.Fatalf("proposed %v, then %v", first.command(t), second.command(t))
	}
	first.apply(t)
	receive(t, before)
	second.succeed(&fsm.Applied{})
	if err := receive(t, assigned); err != nil {
		t.Fatal(err)
	}
}

// Each session is in an entry once, with the greatest floor that anybody said, and each write refers to its own.
func TestAnEntryNumbersSessionsAnew(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	of := func(session uint32, sequence uint64) *command.Write {
		w := put("k", "")
		w.Session, w.Sequence = session, sequence
		return w
	}
	one := &command.WriteBatch{Writes: []*command.Write{of(2, 9), put("k", ""), of(1, 5)}}
	one.Sessions = []*command.Session{{Id: []byte("aaaaaaaaaaaaaaaa"), Floor: 5}, {Id: []byte("bbbbbbbbbbbbbbbb"), Floor: 7}, {Id: []byte("cccccccccccccccc")}}
	two := &command.WriteBatch{Writes: []*command.Write{of(1, 6)}, Sessions: []*command.Session{{Id: []byte("aaaaaaaaaaaaaaaa"), Floor: 6}}}
	for i, batch := range []*command.WriteBatch{one, two} {
		go p.write(context.Background(), batch, later(clock), nil)
		clock.AwaitTimers(i + 1)
	}
	p.ready()
	entry := r.next(t)
	var got []string
	batch := entry.command(t).GetWrite()
	for _, w := range batch.Writes {
		said := "none"
		if w.Session > 0 {
			s := batch.Sessions[w.Session-1]
			said = fmt.Sprintf("%c from %d", s.Id[0], s.Floor)
		}
		got = append(got, fmt.Sprintf("%s: %d", said, w.Sequence))
	}
	if want := "[b from 7: 9 none: 0 a from 6: 5 a from 6: 6]"; fmt.Sprint(got) != want || len(batch.Sessions) != 2 {
		t.Fatalf("got %v of %v, want %s", got, batch.Sessions, want)
	}
	entry.apply(t)
}

func TestAStateMachineWithoutAnAnswerIsUnknown(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	p.ready()
	for _, response := range []any{nil, &fsm.Applied{}} {
		answer := background(func() []fsm.Result {
			return p.write(context.Background(), batchOf(put("a", "")), later(clock), nil)
		})
		r.next(t).succeed(response)
		expectError(t, receive(t, answer)[0], pb.ErrorCode_ERROR_CODE_INTERNAL, unknown)
	}
}

func TestAQueueThatIsFullTakesNoMoreWritesAndSaysWhen(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	if err := p.full(); err != nil {
		t.Fatalf("empty, and yet %v", err)
	}
	value := strings.Repeat("v", queueBytes)
	var answers []<-chan []fsm.Result
	for i := range 2 {
		answers = append(answers, background(func() []fsm.Result {
			return p.write(context.Background(), batchOf(put("k", value[:len(value)-1000*(i+1)])), later(clock), nil)
		}))
		clock.AwaitTimers(i + 1)
	}
	clock.Advance(30 * time.Millisecond)
	if err := p.full(); err == nil || err.RetryAfterMs != 30 {
		t.Fatalf("got %+v", err)
	}
	// Who asked a moment ago and comes now finds a hard end.
	result := p.write(context.Background(), batchOf(put("k", "of a few bytes"+value[:4096])), later(clock), nil)[0]
	expectError(t, result, pb.ErrorCode_ERROR_CODE_OVERLOADED, notApplied)
	p.ready()
	for range answers {
		r.next(t).apply(t)
	}
	for _, answer := range answers {
		if result := receive(t, answer)[0]; result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	if err := p.full(); err != nil || p.queued != 0 {
		t.Fatalf("empty again, and yet %v, %d bytes", err, p.queued)
	}
}

func TestAQueueThatIsSlowTakesNoMoreWrites(t *testing.T) {
	r, clock := newFakeRaft(), clocktest.New()
	r.leads.Store(true)
	p := startProposer(t, r, clock)
	answer := background(func() []fsm.Result {
		return p.write(context.Background(), batchOf(put("k", "v")), later(clock), nil)
	})
	clock.AwaitTimers(1)
	clock.Advance(queueTime)
	if err := p.full(); err == nil || err.RetryAfterMs != uint32(queueTime.Milliseconds()) {
		t.Fatalf("got %+v", err)
	}
	p.shut()
	expectError(t, receive(t, answer)[0], pb.ErrorCode_ERROR_CODE_NOT_LEADER, notApplied)
	if err := p.full(); err != nil || p.queued != 0 {
		t.Fatalf("empty again, and yet %v, %d bytes", err, p.queued)
	}
}

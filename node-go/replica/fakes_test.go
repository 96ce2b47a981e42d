package replica

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock/clocktest"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
)

// fakeFuture is an ApplyFuture that the test answers.
type fakeFuture struct {
	data     []byte
	answered chan struct{}
	err      error
	response any
}

func newFakeFuture(data []byte) *fakeFuture {
	return &fakeFuture{data: data, answered: make(chan struct{})}
}

func (f *fakeFuture) Error() error {
	<-f.answered
	return f.err
}

func (f *fakeFuture) Response() any { return f.response }
func (f *fakeFuture) Index() uint64 { return 0 }

func (f *fakeFuture) fail(err error) {
	f.err = err
	close(f.answered)
}

func (f *fakeFuture) succeed(response any) {
	f.response = response
	close(f.answered)
}

// command is what was proposed.
func (f *fakeFuture) command(t *testing.T) *command.Command {
	t.Helper()
	c, err := fsmcommand.Decode(f.data, fsmcommand.Format)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// apply answers as a state machine would: each put gets the next version, from 1.
func (f *fakeFuture) apply(t *testing.T) {
	t.Helper()
	applied := &fsm.Applied{}
	for i := range f.command(t).GetWrite().GetWrites() {
		applied.Results = append(applied.Results, fsm.Result{Kind: fsm.KindPut, Version: uint64(i + 1)})
	}
	f.succeed(applied)
}

// fakeRaft is Raft as the proposer and the leadership see it.
type fakeRaft struct {
	proposed chan *fakeFuture
	leads    atomic.Bool
	term     atomic.Uint64
	notices  chan bool
	hint     *pb.LeaderHint
}

func newFakeRaft() *fakeRaft {
	return &fakeRaft{
		proposed: make(chan *fakeFuture, 64), notices: make(chan bool),
		hint: &pb.LeaderHint{NodeId: "other", Address: "127.0.0.1:1", Term: 7},
	}
}

func (r *fakeRaft) apply(data []byte) raft.ApplyFuture {
	f := newFakeFuture(data)
	r.proposed <- f
	return f
}

func (r *fakeRaft) next(t *testing.T) *fakeFuture {
	t.Helper()
	return receive(t, r.proposed)
}

// testLimit ends a test that hangs; nothing waits for it otherwise.
const testLimit = 20 * time.Second

func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(testLimit):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func nothing[T any](t *testing.T, from <-chan T, what string) {
	t.Helper()
	select {
	case value := <-from:
		t.Fatalf("%s: got %v", what, value)
	default:
	}
}

func put(key, value string) *command.Write {
	return &command.Write{Kind: &command.Write_Put{Put: &command.Put{Key: []byte(key), Value: []byte(value)}}}
}

func batchOf(writes ...*command.Write) *command.WriteBatch {
	return &command.WriteBatch{Writes: writes}
}

// startProposer runs a proposer over a fake Raft until the test ends.
func startProposer(t *testing.T, r *fakeRaft, clock *clocktest.Manual) *proposer {
	t.Helper()
	p := newProposer(proposerSeams{
		propose: r.apply, leads: r.leads.Load, hint: func() *pb.LeaderHint { return r.hint },
		logTime: func() uint64 { return 7 }, format: func() uint32 { return 1 }, clock: clock,
	})
	go p.run()
	t.Cleanup(func() {
		p.stop()
		p.abandon()
		<-p.finished
	})
	return p
}

// background runs f and gives its result.
func background[T any](f func() T) <-chan T {
	result := make(chan T, 1)
	var started sync.WaitGroup
	started.Add(1)
	go func() {
		started.Done()
		result <- f()
	}()
	started.Wait()
	return result
}

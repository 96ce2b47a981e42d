package transport

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"
)

// sender has everything durable.
func sender(term func() uint64, release func(closed <-chan struct{}) error) Sender {
	return Sender{
		Term: term, Durable: func(index uint64) uint64 { return index },
		Release: func(_ raft.ServerID, _ *raft.AppendEntriesRequest, closed <-chan struct{}) error {
			return release(closed)
		},
	}
}

// entries sends one, in term 6.
func (n *testNode) entries(to raft.ServerID) (raft.AppendEntriesResponse, error) {
	var response raft.AppendEntriesResponse
	err := n.AppendEntries(to, raft.ServerAddress(to), &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: 3, Addr: []byte("a")}, Term: 6, PrevLogEntry: 7, PrevLogTerm: 3,
		Entries: []*raft.Log{{Index: 8, Term: 6, Type: raft.LogNoop}},
	}, &response)
	return response, err
}

func TestEntriesWaitForTheirReleaseAndHeartbeatsDoNot(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	var released atomic.Bool
	b.serve(t, func(call raft.RPC) {
		if len(call.Command.(*raft.AppendEntriesRequest).Entries) > 0 && !released.Load() {
			t.Error("entries came before their release")
		}
		call.Respond(&raft.AppendEntriesResponse{Term: 6, Success: true}, nil)
	})
	asked, goOn := make(chan struct{}), make(chan struct{})
	a.OnAppend(sender(func() uint64 { return 6 }, func(<-chan struct{}) error {
		close(asked)
		<-goOn
		return nil
	}))
	answered := make(chan error, 1)
	go func() {
		response, err := a.entries("b")
		if err == nil && !response.Success {
			err = errRefused
		}
		answered <- err
	}()
	await(t, "the question whether they may be sent", asked)
	if err := a.heartbeat("b", 6); err != nil {
		t.Fatal(err)
	}
	released.Store(true)
	close(goOn)
	if err := <-answered; err != nil || a.Stored(6, "b") != 8 {
		t.Fatalf("%v; stored up to %d", err, a.Stored(6, "b"))
	}
}

func TestEntriesThatAreNotReleasedAreNotSent(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	b.serve(t, func(call raft.RPC) {
		t.Error("they were sent")
		call.Respond(nil, errRefused)
	})
	refused := errors.New("refused")
	a.OnAppend(sender(func() uint64 { return 6 }, func(<-chan struct{}) error { return refused }))
	if _, err := a.entries("b"); !errors.Is(err, refused) {
		t.Fatalf("got %v", err)
	}
	// While it waited for its release a newer leader was elected.
	term := uint64(6)
	a.OnAppend(sender(func() uint64 { return term }, func(<-chan struct{}) error { term = 7; return nil }))
	if response, err := a.entries("b"); err != nil || response.Success || response.Term != 7 {
		t.Fatalf("got %+v, %v", response, err)
	}
	// Close waits for nobody's release.
	asked := make(chan struct{})
	a.OnAppend(sender(func() uint64 { return 7 }, func(closed <-chan struct{}) error {
		close(asked)
		<-closed
		return ErrClosed
	}))
	ended := make(chan error, 1)
	go func() {
		_, err := a.entries("b")
		ended <- err
	}()
	await(t, "the question whether they may be sent", asked)
	a.kill()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Fatalf("got %v", err)
	}
}

// Whatever a leader says to a peer passes through AppendEntries, where it is judged.
func TestThereIsNoPipelineBesideAppendEntries(t *testing.T) {
	a := startNode(t, "a")
	if _, err := a.AppendEntriesPipeline("b", "b"); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
		t.Fatalf("got %v", err)
	}
}

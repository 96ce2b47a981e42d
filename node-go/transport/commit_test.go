package transport

import (
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// A follower of hashicorp/raft commits its whole log up to LeaderCommitIndex, an old leader's tail included. What arrives
// must not reach beyond the entries that the message compares.
func TestACommitIndexReachesNoFurtherThanTheMessage(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	seen := make(chan uint64, 1)
	b.serve(t, func(call raft.RPC) {
		seen <- call.Command.(*raft.AppendEntriesRequest).LeaderCommitIndex
		call.Respond(&raft.AppendEntriesResponse{Term: 2, Success: true}, nil)
	})
	entry := &raft.Log{Index: 8, Term: 2, Type: raft.LogNoop}
	for _, c := range []struct {
		name    string
		request raft.AppendEntriesRequest
		want    uint64
	}{
		{"no entries", raft.AppendEntriesRequest{PrevLogEntry: 7, LeaderCommitIndex: 8}, 7},
		{"entries", raft.AppendEntriesRequest{PrevLogEntry: 7, Entries: []*raft.Log{entry}, LeaderCommitIndex: 12}, 8},
		{"within", raft.AppendEntriesRequest{PrevLogEntry: 7, LeaderCommitIndex: 5}, 5},
	} {
		c.request.RPCHeader, c.request.Term, c.request.PrevLogTerm = raft.RPCHeader{ProtocolVersion: 3, Addr: []byte("a")}, 2, 1
		before := c.request.LeaderCommitIndex
		if err := a.AppendEntries("b", "b", &c.request, &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; got != c.want {
			t.Errorf("%s: the follower is told %d, want %d", c.name, got, c.want)
		}
		if c.request.LeaderCommitIndex != before {
			t.Errorf("%s: Raft's own request was changed", c.name)
		}
	}
}

func TestASnapshotThatTheLogHoldsIsNotInstalled(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	b.OnInstall(func(r *raft.InstallSnapshotRequest) bool { return r.LastLogIndex <= 10 })
	installs := make(chan uint64, 1)
	b.serve(t, func(call raft.RPC) {
		installs <- call.Command.(*raft.InstallSnapshotRequest).LastLogIndex
		_, _ = io.Copy(io.Discard, call.Reader)
		call.Respond(&raft.InstallSnapshotResponse{Term: 2, Success: true}, nil)
	})
	const content = "the state machine"
	for _, last := range []uint64{10, 11} {
		request := &raft.InstallSnapshotRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: 3, Addr: []byte("a")}, Term: 2, LastLogIndex: last, Size: int64(len(content)),
		}
		response := &raft.InstallSnapshotResponse{}
		if err := a.InstallSnapshot("b", "b", request, response, strings.NewReader(content)); err != nil || !response.Success {
			t.Fatalf("snapshot %d: %+v, %v", last, response, err)
		}
	}
	if got := <-installs; got != 11 || len(installs) != 0 {
		t.Errorf("Raft installed %d", got)
	}
}

// A deposed leader may read entries of its successor's, of whatever term, while its log is replaced.
func TestAMessageOfADeposedLeaderIsNotSent(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	seen := make(chan uint64, 1)
	b.serve(t, func(call raft.RPC) {
		seen <- call.Command.(*raft.AppendEntriesRequest).Term
		call.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
	})
	a.OnAppend(sender(func() uint64 { return 6 }, func(<-chan struct{}) error { return nil }))
	for term, sent := range map[uint64]bool{5: false, 6: true} {
		var response raft.AppendEntriesResponse
		err := a.AppendEntries("b", "b", &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: 3, Addr: []byte("a")}, Term: term, PrevLogEntry: 7, PrevLogTerm: 3,
			Entries: []*raft.Log{{Index: 8, Term: 4, Type: raft.LogNoop}},
		}, &response)
		// Raft stops replicating when it meets a newer term.
		if err != nil || response.Success != sent || !sent && response.Term != 6 {
			t.Fatalf("term %d: %v, %+v", term, err, response)
		}
	}
	if term := <-seen; term != 6 {
		t.Fatalf("the message of term %d was sent", term)
	}
}

package transport

import (
	"log/slog"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"kvorum/node/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen; it is never waited out in a test that passes.
const patience = 20 * time.Second

// testNode is a Mux and a Transport over it, on a port of its own.
type testNode struct {
	*Transport
	mux  *Mux
	book *Book
	id   raft.ServerID
}

type nodeConfig struct {
	cluster string
	shard   uint32
	limits  limits
	clock   clock.Clock
	log     *slog.Logger
}

func startNode(t *testing.T, id string, configure ...func(*nodeConfig)) *testNode {
	t.Helper()
	config := nodeConfig{cluster: "c", shard: 1, limits: defaultLimits(), clock: clock.Real(), log: slog.New(slog.DiscardHandler)}
	for _, f := range configure {
		f(&config)
	}
	mux, err := Listen("127.0.0.1:0", MuxOptions{Clock: clock.Real(), Log: config.log})
	if err != nil {
		t.Fatal(err)
	}
	book := NewBook(nil, nil)
	transport, err := New(Options{
		Identity: Identity{ClusterID: config.cluster, Shard: config.shard, NodeID: id, Address: mux.Addr().String()},
		Book:     book, Listener: mux.Raft(), Clock: config.clock, Log: config.log, RaftLog: hclog.NewNullLogger(),
		limits: config.limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	n := &testNode{Transport: transport, mux: mux, book: book, id: raft.ServerID(id)}
	t.Cleanup(n.kill)
	return n
}

// kill is what the end of the process looks like from outside: the port and every connection close.
func (n *testNode) kill() {
	n.mux.Close()
	n.Transport.Close()
}

// knows puts the address of other into the book.
func (n *testNode) knows(other *testNode) { n.book.Set(string(other.id), other.mux.Addr().String()) }

// serve answers calls with respond until the test ends.
func (n *testNode) serve(t *testing.T, respond func(raft.RPC)) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case call := <-n.Consumer():
				respond(call)
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
}

// inTerm answers AppendEntries as a node whose term is `term`.
func inTerm(term uint64) func(raft.RPC) {
	return func(call raft.RPC) {
		if _, ok := call.Command.(*raft.AppendEntriesRequest); ok {
			call.Respond(&raft.AppendEntriesResponse{Term: term, Success: true}, nil)
			return
		}
		call.Respond(nil, errRefused)
	}
}

func (n *testNode) heartbeat(to raft.ServerID, term uint64) error {
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(n.id), Addr: []byte(n.id)}
	request := &raft.AppendEntriesRequest{RPCHeader: header, Term: term}
	return n.AppendEntries(to, raft.ServerAddress(to), request, &raft.AppendEntriesResponse{})
}

func await(t *testing.T, what string, event <-chan struct{}) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(patience):
		t.Fatalf("waited too long for %s", what)
	}
}

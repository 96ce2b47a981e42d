package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"kvorum/node/clock"
	"kvorum/node/engine"
	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
	"kvorum/node/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeNode is a node and its replica, over a map.
type fakeNode struct {
	Replica // nil: a method that a test does not set panics
	signal  *replica.Signal

	mu     sync.Mutex
	status *nodev1.NodeStatus
	values map[string]string
	// expiries are those of the values, by the log time logTimeMs.
	expiries  map[string]uint64
	logTimeMs uint64
	refused   *kverr.Error
	full      *kverr.Error
	peers     []*kvorumv1.Node
	members   []string
	assign    *command.AssignPartitions
	view      engine.View
	batches   []*command.WriteBatch
	// transaction is the answer to each.
	transaction fsm.Result
	// gate, if not nil, is called before a write is answered.
	gate func(key string)
	// confirm is the answer of Confirm.
	confirm *kverr.Error
	// index is that of ReadIndex; Fresh fails for bounds below provable, and bounds are what it was asked.
	index    uint64
	provable time.Duration
	bounds   []time.Duration
	// hub is what watchers are served from; lost: no leader was heard of.
	hub  *watch.Hub
	lost atomic.Bool
	// changes are the changes of members that were asked for.
	changes []string
	// pages are those that were asked for; largest is the size of their record, if that is more than half of them.
	pages   []fsm.PageQuery
	largest int
}

var _ Node = (*nodeView)(nil)

// nodeView separates the two interfaces, which share no object in a real node either.
type nodeView struct{ *fakeNode }

func (n nodeView) Status() *nodev1.NodeStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status
}

func (n nodeView) Changed() <-chan struct{} { return n.signal.Next() }

func (n nodeView) Replica() (Replica, *kverr.Error) {
	if n.refused != nil {
		return nil, n.refused
	}
	return n.fakeNode, nil
}

func (n nodeView) AwaitReplica(context.Context) (Replica, *kverr.Error) { return n.Replica() }

func (n nodeView) Changes() *watch.Hub { return n.hub }

func (n nodeView) SetPeers(peers []*kvorumv1.Node) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers = peers
	return nil
}

func (n *fakeNode) Write(_ context.Context, batch *command.WriteBatch, _ time.Time, _ *replica.Hold) []fsm.Result {
	var results []fsm.Result
	n.mu.Lock()
	n.batches = append(n.batches, batch)
	n.mu.Unlock()
	for _, write := range batch.Writes {
		if put := write.GetPut(); put != nil {
			if n.gate != nil {
				n.gate(string(put.Key))
			}
			n.set(string(put.Key), string(put.Value))
			result := fsm.Result{Kind: fsm.KindPut, Version: 1}
			if put.ReturnPrevious {
				result.Previous = &fsm.Previous{Version: 7, Value: make([]byte, fsm.PreviousBytesMax)}
			}
			results = append(results, result)
			continue
		}
		switch {
		case write.GetAppend() != nil:
			results = append(results, fsm.Result{Kind: fsm.KindAppend, Version: 2, Length: 5})
		case write.GetCompareAndSet() != nil:
			results = append(results, fsm.Result{Kind: fsm.KindCompareAndSet, Version: 3})
		case write.GetIncrement() != nil:
			results = append(results, fsm.Result{Kind: fsm.KindIncrement, Version: 4, Value: write.GetIncrement().By})
		case write.GetTransaction() != nil:
			results = append(results, n.transaction)
		case write.GetTouch() != nil:
			results = append(results, fsm.Result{Kind: fsm.KindTouch, Existed: true})
		case write.GetOpen() != nil:
			results = append(results, fsm.Result{Kind: fsm.KindOpen, Session: fsm.SessionID{1, 2}})
		default:
			result := fsm.Result{Kind: fsm.KindDelete, Existed: true}
			if write.GetDelete().GetReturnPrevious() {
				result.Previous = &fsm.Previous{Version: 9, Value: []byte("was")}
			}
			results = append(results, result)
		}
	}
	return results
}

func (n *fakeNode) Follows(time.Duration) bool { return !n.lost.Load() }

func (n *fakeNode) Full() *kverr.Error { return n.full }

func (n *fakeNode) set(key, value string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.values[key] = value
}

func (n *fakeNode) Confirm(context.Context, time.Time) *kverr.Error { return n.confirm }

func (n *fakeNode) Fresh(_ context.Context, _ time.Time, bound time.Duration, _ time.Time) *kverr.Error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bounds = append(n.bounds, bound)
	if bound < n.provable {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "no proof")
	}
	return nil
}

func (n *fakeNode) ReadIndex(context.Context, time.Time) (uint64, *kverr.Error) {
	return n.index, n.confirm
}

func (n *fakeNode) Get(key []byte) (engine.Record, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	value, ok := n.values[string(key)]
	if !ok {
		return engine.Record{}, false, nil
	}
	return engine.Record{Key: key, Value: []byte(value), Version: 1, Expiry: n.expiries[string(key)]}, true, nil
}

func (n *fakeNode) LogTimeMs() uint64 { return n.logTimeMs }

func (n *fakeNode) Assign(_ context.Context, assign *command.AssignPartitions, _ time.Time) *kverr.Error {
	n.assign = assign
	return nil
}

func (n *fakeNode) Bootstrap(_ context.Context, members []string) *kverr.Error {
	n.members = members
	return nil
}

func (n *fakeNode) Seed(atLeast uint64) (engine.View, *kverr.Error) {
	if n.view.Applied() < atLeast {
		return nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "behind")
	}
	return n.view, nil
}

// bench is a server over a fake node, and a client of it.
type bench struct {
	node     *fakeNode
	options  Options
	server   *Server
	listener *bufconn.Listener
	kv       kvorumv1.KVClient
	admin    nodev1.NodeClient
	ctx      context.Context
}

// testLimit ends a test that hangs; nothing waits for it otherwise.
const testLimit = 20 * time.Second

func start(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	node := &fakeNode{signal: replica.NewSignal(), status: &nodev1.NodeStatus{NodeId: "n"}, expiries: map[string]uint64{}, values: map[string]string{}}
	b := &bench{node: node, options: Options{
		Node: nodeView{node}, Limits: DefaultLimits(), Budget: replica.NewBudget(64 << 20), Clock: clock.Real(),
		Log: slog.New(slog.DiscardHandler), Cluster: "c", Shard: 7, NodeID: "n",
	}}
	if change != nil {
		change(&b.options)
	}
	b.server = New(b.options)
	b.listener = bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(b.listener) }()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	b.ctx = ctx
	t.Cleanup(func() {
		cancel()
		b.server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	b.connect(t)
	return b
}

// connect has the bench's clients use a connection of their own from here on.
func (b *bench) connect(t *testing.T) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///node", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return b.listener.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)),
		// A client that does not read gets no more than this ahead.
		grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	b.kv, b.admin = kvorumv1.NewKVClient(conn), nodev1.NewNodeClient(conn)
	t.Cleanup(func() { conn.Close() })
}

func (b *bench) lane(t *testing.T) grpc.BidiStreamingClient[kvorumv1.BatchRequest, kvorumv1.BatchResponse] {
	t.Helper()
	stream, err := b.kv.Batch(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// ask sends one message and returns its answer.
func (b *bench) ask(t *testing.T, operations ...*kvorumv1.Operation) []*kvorumv1.Result {
	t.Helper()
	lane := b.lane(t)
	if err := lane.Send(&kvorumv1.BatchRequest{Id: 5, Operations: operations}); err != nil {
		t.Fatal(err)
	}
	if err := lane.CloseSend(); err != nil {
		t.Fatal(err)
	}
	response, err := lane.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if response.Id != 5 || len(response.Results) != len(operations) {
		t.Fatalf("got id %d and %d results for %d operations", response.Id, len(response.Results), len(operations))
	}
	if _, err := lane.Recv(); err != io.EOF {
		t.Fatalf("the stream ended with %v", err)
	}
	return response.Results
}

func get(key string) *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Get{Get: &kvorumv1.GetRequest{Key: []byte(key)}}}
}

func put(key, value string) *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Put{Put: &kvorumv1.PutRequest{Key: []byte(key), Value: []byte(value)}}}
}

func remove(key string) *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Delete{Delete: &kvorumv1.DeleteRequest{Key: []byte(key)}}}
}

func expectCode(t *testing.T, result *kvorumv1.Result, code pb.ErrorCode) {
	t.Helper()
	failure := result.GetError()
	if failure == nil || failure.Code != code || failure.Outcome != pb.Outcome_OUTCOME_NOT_APPLIED ||
		failure.Shard != 7 || failure.NodeId != "n" {
		t.Fatalf("got %v, want %s", result, code)
	}
}

package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kvorum/node/clock"
	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	"kvorum/node/transport"
	"kvorum/node/vfs"
)

// Raft never answers the futures that are in its channel when it is shut down; whoever waits for one goes with the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/raft.(*deferError).Error"))
}

// patient is a timing under which nothing happens by time-out during a test: what happens, happens for another reason.
var patient = Timing{Heartbeat: time.Minute, Lease: time.Minute, Commit: 10 * time.Millisecond}

// brisk elects by time-out, as soon as a busy machine under the race detector allows without elections by mistake.
var brisk = Timing{Heartbeat: 500 * time.Millisecond, Lease: 400 * time.Millisecond, Commit: 10 * time.Millisecond}

// cluster is three replicas in this process, with real files, sockets and Raft.
type cluster struct {
	t       *testing.T
	network *network
	nodes   []*testNode
	ctx     context.Context
}

// testNode is one of them, over all its restarts.
type testNode struct {
	cluster *cluster
	options Options
	id      string
	address string
	mux     *transport.Mux
	// direct keeps the network of the test out: a process that is gone then refuses connections, as it should.
	direct bool
	// listening is the mux's address, as the network of the test dials it.
	listening atomic.Pointer[string]
	fatal     chan *FatalError

	*Replica
}

// newCluster makes nodes that are not open yet. change may set options of a node, by its number.
func newCluster(t *testing.T, size int, timing Timing, change func(int, *Options)) *cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*testLimit)
	t.Cleanup(cancel)
	c := &cluster{t: t, network: newNetwork(t), ctx: ctx}
	var ids []string
	for i := range size {
		ids = append(ids, fmt.Sprintf("node-%d", i))
	}
	for i, id := range ids {
		n := &testNode{cluster: c, id: id, fatal: make(chan *FatalError, 16)}
		n.address = c.network.listen(t, id, ids, func() string { return *n.listening.Load() })
		n.options = Options{
			Dir: t.TempDir(), FS: vfs.OS(), Clock: clock.Real(), Log: testLog(), Timing: timing,
			Sizes:    Sizes{SegmentBytes: 1 << 20, CompactBytes: 1 << 30, TrailingBytes: 1 << 20, StallLimit: time.Minute},
			Identity: transport.Identity{ClusterID: "test", Shard: 1, NodeID: id, Address: n.address},
			Changed:  NewSignal(),
			OnFatal:  func(err *FatalError) { n.fatal <- err },
		}
		if change != nil {
			change(i, &n.options)
		}
		c.nodes = append(c.nodes, n)
	}
	addresses := map[string]string{}
	for _, n := range c.nodes {
		addresses[n.id] = n.address
	}
	for _, n := range c.nodes {
		n.options.Book = transport.NewBook(addresses, nil)
	}
	t.Cleanup(c.closeAll)
	return c
}

// testLog is silent unless KVORUM_TEST_LOG is set.
func testLog() *slog.Logger {
	if os.Getenv("KVORUM_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// startCluster opens all nodes, bootstraps them, and gives them all partitions.
func startCluster(t *testing.T, size int, timing Timing, change func(int, *Options)) *cluster {
	t.Helper()
	c := newCluster(t, size, timing, change)
	c.start()
	return c
}

func (c *cluster) start() {
	t := c.t
	t.Helper()
	ids := ids(c.nodes)
	for _, n := range c.nodes {
		n.open()
	}
	for _, n := range c.nodes {
		if err := n.Bootstrap(c.ctx, ids); err != nil {
			t.Fatal(err)
		}
	}
	assign := &command.AssignPartitions{Epoch: 1, Owned: []*command.PartitionRange{{First: 0, Last: 1023}}}
	if err := c.leader().Assign(c.ctx, assign, c.deadline()); err != nil {
		t.Fatal(err)
	}
}

func (n *testNode) open() {
	n.cluster.t.Helper()
	if err := n.tryOpen(n.cluster.ctx); err != nil {
		n.cluster.t.Fatal(err)
	}
}

func (n *testNode) tryOpen(ctx context.Context) error {
	mux, err := transport.Listen("127.0.0.1:0", transport.MuxOptions{Clock: n.options.Clock, Log: n.options.Log})
	if err != nil {
		return err
	}
	n.mux, n.options.Mux = mux, mux
	address := mux.Addr().String()
	n.listening.Store(&address)
	if n.direct {
		n.options.Identity.Address = address
		for _, other := range n.cluster.nodes {
			other.options.Book.Set(n.id, address)
		}
	}
	n.Replica, err = Open(ctx, n.options)
	if err != nil {
		mux.Close()
	}
	return err
}

// crash ends a node without any handing over.
func (n *testNode) crash() {
	if n.Replica == nil {
		return
	}
	n.mux.Close()
	err := n.Close()
	n.Replica = nil
	if err != nil {
		n.cluster.t.Errorf("close %s: %v", n.id, err)
	}
}

func (c *cluster) closeAll() {
	for _, n := range c.nodes {
		n.crash()
	}
}

func (c *cluster) deadline() time.Time { return time.Now().Add(testLimit) }

// open gives the nodes that are open.
func (c *cluster) open() []*testNode {
	var open []*testNode
	for _, n := range c.nodes {
		if n.Replica != nil {
			open = append(open, n)
		}
	}
	return open
}

// leader waits until a node is ready to serve, other than those excepted.
func (c *cluster) leader(except ...*testNode) *testNode {
	c.t.Helper()
	found := make(chan *testNode, len(c.nodes))
	ctx, cancel := context.WithTimeout(c.ctx, testLimit)
	defer cancel()
	for _, n := range c.open() {
		if contains(except, n) {
			continue
		}
		go func() {
			if n.await(ctx, func(s Status) bool { return s.Ready }) {
				found <- n
			}
		}()
	}
	select {
	case n := <-found:
		return n
	case <-ctx.Done():
		c.t.Fatal("no node leads")
		return nil
	}
}

func contains(nodes []*testNode, n *testNode) bool {
	for _, each := range nodes {
		if each == n {
			return true
		}
	}
	return false
}

func (c *cluster) others(n *testNode) []*testNode {
	var others []*testNode
	for _, each := range c.nodes {
		if each != n {
			others = append(others, each)
		}
	}
	return others
}

func ids(nodes []*testNode) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.id)
	}
	return all
}

// await waits for a status; false when ctx ended first.
func (n *testNode) await(ctx context.Context, good func(Status) bool) bool {
	for {
		changed := n.changed.Next()
		if good(n.Status()) {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (n *testNode) mustAwait(what string, good func(Status) bool) {
	n.cluster.t.Helper()
	ctx, cancel := context.WithTimeout(n.cluster.ctx, testLimit)
	defer cancel()
	if !n.await(ctx, good) {
		n.cluster.t.Fatalf("%s: %s; status %+v", n.id, what, n.Status())
	}
}

func (n *testNode) put(key, value string) fsm.Result {
	return n.Write(n.cluster.ctx, batchOf(put(key, value)), n.cluster.deadline(), nil)[0]
}

func (n *testNode) mustPut(key, value string) {
	n.cluster.t.Helper()
	if result := n.put(key, value); result.Err != nil {
		n.cluster.t.Fatalf("put %s: %v", key, result.Err)
	}
}

// get is a linearizable read.
func (n *testNode) get(key string) (string, error) {
	if err := n.Confirm(n.cluster.ctx, n.cluster.deadline()); err != nil {
		return "", err
	}
	record, found, err := n.Get([]byte(key))
	if err != nil || !found {
		return "", errors.Join(err, errAbsent)
	}
	return string(record.Value), nil
}

var errAbsent = errors.New("absent")

func (n *testNode) mustGet(key, want string) {
	n.cluster.t.Helper()
	if got, err := n.get(key); err != nil || got != want {
		n.cluster.t.Fatalf("get %s: got %q %v, want %q", key, got, err, want)
	}
}

// catchUp waits until n has applied what the leader has committed.
func (n *testNode) catchUp(leader *testNode) {
	n.cluster.t.Helper()
	ctx, cancel := context.WithTimeout(n.cluster.ctx, testLimit)
	defer cancel()
	if err := n.fsm.WaitApplied(ctx, leader.raft.CommitIndex()); err != nil {
		n.cluster.t.Fatal(err)
	}
}

// fetchFrom reads a seed from another node of the test, whatever the address.
func fetchFrom(n *testNode) Fetch {
	return func(_ context.Context, _ Peer, atLeast uint64) (io.ReadCloser, error) {
		view, err := n.Seed(atLeast)
		if err != nil {
			return nil, err
		}
		reader, writer := io.Pipe()
		go func() {
			defer view.Close()
			_, err := view.WriteTo(writer)
			writer.CloseWithError(err)
		}()
		return reader, nil
	}
}

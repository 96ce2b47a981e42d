package server

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"kvorum/node/clock"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
	"kvorum/node/move"
)

const (
	// giverAttempt is how long one node may take to answer: a paused process keeps its connections.
	giverAttempt = time.Second
	// giverRetryMin and giverRetryMax are the rests between rounds over all nodes: an election takes a few milliseconds.
	giverRetryMin = 5 * time.Millisecond
	giverRetryMax = 100 * time.Millisecond
	// hopsMax is how often one node after another is believed that a third one leads, before there is a rest.
	hopsMax = 3
	// exportBytesMax is the largest message of an export: one record of the largest size.
	exportBytesMax = HardMaxValueBytes + receiveSlack
)

// giver is another shard of the cluster. Its leader is looked for among the nodes that were named, and those that they name.
type giver struct {
	clock   clock.Clock
	dialer  *net.Dialer
	cluster string
	shard   uint32

	mu    sync.Mutex
	nodes []*kvorumv1.Node
	// next is the index of the node to be asked next.
	next  int
	conns map[string]*grpc.ClientConn
}

var _ move.Giver = (*giver)(nil)

// Givers connects to the shards of this cluster that partitions are to come from.
func Givers(c clock.Clock, dialer *net.Dialer, cluster string) func(*nodev1.ImportRequest) move.Giver {
	return func(request *nodev1.ImportRequest) move.Giver {
		return &giver{
			clock: c, dialer: dialer, cluster: cluster, shard: request.GetFromShard(),
			nodes: append([]*kvorumv1.Node(nil), request.GetFrom()...), conns: map[string]*grpc.ClientConn{},
		}
	}
}

// Step asks until there is an answer of the shard's log. Each attempt that got none may have had its effect: a step that was done
// is done.
func (g *giver) Step(ctx context.Context, m *nodev1.MoveRequest) *kverr.Error {
	return g.attempt(ctx, func(ctx context.Context, client nodev1.NodeClient) *kverr.Error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer g.clock.AfterFunc(giverAttempt, cancel).Stop()
		var trailer metadata.MD
		if _, err := client.Move(ctx, m, grpc.Trailer(&trailer)); err != nil {
			return travelled(trailer, err)
		}
		return nil
	})
}

// Export returns a stream that has begun.
func (g *giver) Export(ctx context.Context, x *nodev1.ExportRequest) (move.Stream, *kverr.Error) {
	var begun *export
	err := g.attempt(ctx, func(ctx context.Context, client nodev1.NodeClient) *kverr.Error {
		stream := &export{}
		ctx, stream.cancel = context.WithCancel(ctx)
		// While it is being opened only: then the importer looks after it.
		timer := g.clock.AfterFunc(giverAttempt, stream.cancel)
		err := stream.begin(ctx, client, x)
		if !timer.Stop() && err == nil {
			err = context.Canceled
		}
		if err != nil {
			stream.cancel()
			return kverr.Of(err)
		}
		begun = stream
		return nil
	})
	if err != nil {
		return nil, err
	}
	return begun, nil
}

// export gives our errors.
type export struct {
	stream grpc.ServerStreamingClient[nodev1.ExportResponse]
	cancel context.CancelFunc
}

// begin reads the first message, which says that there is no refusal.
func (x *export) begin(ctx context.Context, client nodev1.NodeClient, request *nodev1.ExportRequest) (err error) {
	if x.stream, err = client.Export(ctx, request); err == nil {
		_, err = x.Recv()
	}
	return err
}

func (x *export) Recv() (*nodev1.ExportResponse, error) {
	m, err := x.stream.Recv()
	if err == nil {
		return m, nil
	}
	x.cancel()
	if errors.Is(err, io.EOF) {
		return nil, err
	}
	return nil, travelled(x.stream.Trailer(), err)
}

// attempt asks node after node until one answers for the shard, or ctx ends.
func (g *giver) attempt(ctx context.Context, ask func(context.Context, nodev1.NodeClient) *kverr.Error) *kverr.Error {
	rest := giverRetryMin
	for tries := 1; ; tries++ {
		node, client, err := g.pick()
		if err == nil {
			err = ask(g.meaning(ctx, node), client)
		}
		switch {
		case err == nil || isAnswer(err):
			return err
		case g.turn(node, err) && tries%hopsMax != 0:
			// The leader, as it seems.
			continue
		}
		if clock.Wait(ctx, g.clock, rest) != nil {
			return kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "no answer from shard %d: %w", g.shard, err)
		}
		rest = min(2*rest, giverRetryMax)
	}
}

// isAnswer says that an error is what the shard says, rather than what kept it from saying anything.
func isAnswer(err *kverr.Error) bool {
	switch err.Code {
	case pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, pb.ErrorCode_ERROR_CODE_UNSUPPORTED:
		return true
	default:
		return false
	}
}

func (g *giver) pick() (*kvorumv1.Node, nodev1.NodeClient, *kverr.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.nodes) == 0 {
		return nil, nil, invalid("a move needs the giver's nodes")
	}
	node := g.nodes[g.next%len(g.nodes)]
	conn := g.conns[node.GetAddress()]
	if conn == nil {
		var err error
		conn, err = grpc.NewClient("passthrough:///"+node.GetAddress(), grpc.WithContextDialer(g.dial),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(exportBytesMax)))
		if err != nil {
			return nil, nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "node %s at %q: %w", node.GetId(), node.GetAddress(), err)
		}
		g.conns[node.GetAddress()] = conn
	}
	return node, nodev1.NewNodeClient(conn), nil
}

func (g *giver) dial(ctx context.Context, address string) (net.Conn, error) {
	return g.dialer.DialContext(ctx, "tcp", address)
}

// turn chooses who is asked next, after a node that has not answered for the shard. It says whether that node named another.
func (g *giver) turn(asked *kvorumv1.Node, err *kverr.Error) (named bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	hint := err.Leader
	if hint == nil || hint.GetNodeId() == asked.GetId() {
		g.next = (g.next + 1) % len(g.nodes)
		return false
	}
	g.next = slices.IndexFunc(g.nodes, func(n *kvorumv1.Node) bool { return n.GetId() == hint.GetNodeId() })
	if g.next < 0 {
		g.next = len(g.nodes)
		g.nodes = append(g.nodes, nil)
	}
	// Not changed in place: it may be asked at this moment.
	g.nodes[g.next] = &kvorumv1.Node{Id: hint.GetNodeId(), Address: hint.GetAddress()}
	return true
}

// meaning says whom a call is meant for.
func (g *giver) meaning(ctx context.Context, node *kvorumv1.Node) context.Context {
	return metadata.AppendToOutgoingContext(ctx,
		meantCluster, g.cluster, meantShard, strconv.FormatUint(uint64(g.shard), 10), meantNode, node.GetId())
}

func (g *giver) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, conn := range g.conns {
		// It fails only when it is closed already.
		_ = conn.Close()
	}
}

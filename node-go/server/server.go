// Package server is the node's gRPC side: kvorum.v1.KV for data, node.v1.Node for whoever runs the node. It holds no
// state of its own: it checks limits, counts bytes, and asks the replica.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"kvorum/node/clock"
	"kvorum/node/engine"
	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
	"kvorum/node/move"
	"kvorum/node/replica"
	"kvorum/node/watch"
)

// Node is the process that is served.
type Node interface {
	// Status is the status now.
	Status() *nodev1.NodeStatus
	// Changed closes at the next change of the status. Take it before Status.
	Changed() <-chan struct{}
	// Replica is the replica, or why there is none now. Its errors are NOT_APPLIED.
	Replica() (Replica, *kverr.Error)
	// AwaitReplica waits until the node has opened its replica.
	AwaitReplica(ctx context.Context) (Replica, *kverr.Error)
	// Changes are those that the replica applies, for watchers. They are there before the replica is, and begin with it.
	Changes() *watch.Hub
	// SetPeers tells where the shard's nodes listen; durable on return.
	SetPeers(peers []*kvorumv1.Node) error
}

// Replica is one member of a Raft group. *replica.Replica is the real one.
type Replica interface {
	move.Shard
	// Full says why writes would be refused now; nil when they would not.
	Full() *kverr.Error
	// Write answers each write, in their order, when all are answered. hold is kept until Raft has let go of them.
	Write(ctx context.Context, batch *command.WriteBatch, deadline time.Time, hold *replica.Hold) []fsm.Result
	// Confirm returns nil when Get gives linearizable answers to reads that began before the call.
	Confirm(ctx context.Context, deadline time.Time) *kverr.Error
	// Fresh returns nil when Get gives a state at least as new as the shard's was `bound` before `arrived`.
	Fresh(ctx context.Context, arrived time.Time, bound time.Duration, deadline time.Time) *kverr.Error
	Get(key []byte) (engine.Record, bool, error)
	// LogTimeMs is what times to live are counted by.
	LogTimeMs() uint64
	// Page reads keys of some partitions as of one moment, with Get's guarantee.
	Page(query fsm.PageQuery) (fsm.Page, *kverr.Error)
	// Follows says whether this node leads, or has heard of a leader within so long.
	Follows(within time.Duration) bool
	// ReadIndex gives an index that holds everything that was acknowledged before the call; only the leader has one.
	ReadIndex(ctx context.Context, deadline time.Time) (uint64, *kverr.Error)

	Assign(ctx context.Context, assign *command.AssignPartitions, deadline time.Time) *kverr.Error
	Bootstrap(ctx context.Context, members []string) *kverr.Error
	// The changes of members give the index of the configuration that has the change; leader only.
	AddNonVoter(ctx context.Context, id, address string, ifConfiguration uint64, deadline time.Time) (uint64, *kverr.Error)
	Promote(ctx context.Context, id string, ifConfiguration uint64, deadline time.Time) (uint64, *kverr.Error)
	RemoveMember(ctx context.Context, id string, ifConfiguration uint64, deadline time.Time) (uint64, *kverr.Error)
	Campaign(ctx context.Context) *kverr.Error
	TransferLeadership(ctx context.Context, to string) *kverr.Error
	RaiseFormat(ctx context.Context, format uint32, deadline time.Time) *kverr.Error
	// Export begins an export of partitions; leader only. The caller closes it.
	Export(ctx context.Context, epoch uint64, ranges []*command.PartitionRange, deadline time.Time) (*fsm.Export, *kverr.Error)
	// Seed is a view that holds everything up to atLeast. The caller closes it.
	Seed(atLeast uint64) (engine.View, *kverr.Error)
}

// Options of a Server; all are required.
type Options struct {
	Node   Node
	Limits Limits
	Budget *replica.Budget
	// Importer carries out the moves of partitions to this shard. It outlives the server, and is its owner's to close.
	Importer *move.Importer
	Clock    clock.Clock
	Log      *slog.Logger
	// Cluster, Shard and NodeID are who this node is: in every error, and for calls that are meant for somebody else.
	Cluster string
	Shard   uint32
	NodeID  string
}

// Server serves until Stop.
type Server struct {
	grpc  *grpc.Server
	data  *kvService
	busy  *busy
	clock clock.Clock
}

const (
	// Frames and headers around a message, beside its limit.
	receiveSlack = 64 << 10
	// What a stream may send before anybody reads it. A larger message needs a round trip more (gRPC widens the window when
	// the message is read for); in return what nobody has looked at yet is bounded, and short: whoever is refused hears it
	// soon. Fixed windows also switch off the bandwidth estimator and its pings.
	streamWindowBytes     = 256 << 10
	connectionWindowBytes = 4 << 20
	// Below grpc's 32 KiB twice per connection: a node has dozens of connections, and batches of small operations fit.
	connectionBufferBytes = 16 << 10
	// maxStreams is that of one connection, maxDataStreams that of the node: lanes, and unary calls beside them.
	maxStreams     = 256
	maxDataStreams = 256
	// maxWatchStreams are counted apart: a watch lives for as long as its client wants, and holds little.
	maxWatchStreams = 2048
	maxConnections  = 1024
	// maxRefusalBytes are enough for the refusals of 32 full messages of ours; past it streams end.
	maxRefusalBytes = 16 << 20
	// maxWatchingBytes are those of all messages to watchers that are on their way: two of the largest ones fit.
	maxWatchingBytes = 32 << 20
	// Our clients ping to notice dead servers. Anything down to a second is no abuse.
	minClientPing = time.Second
	// The server pings a silent client to notice that it vanished without closing: each costs one wake-up a minute.
	serverPing        = time.Minute
	serverPingTimeout = 10 * time.Second
	// lingerTime is a few round trips: time for clients to hear who leads now, and to turn there.
	lingerTime = 100 * time.Millisecond
)

// New makes a server that is not listening yet.
func New(options Options) *Server {
	data := &streams{max: maxDataStreams, maxWatches: maxWatchStreams}
	s := &Server{
		busy: newBusy(), clock: options.Clock,
		grpc: grpc.NewServer(
			grpc.InTapHandle(data.tap),
			grpc.ForceServerCodecV2(newRawCodec()),
			grpc.UnaryInterceptor(options.meantUnary),
			grpc.StreamInterceptor(options.meantStream),
			grpc.MaxRecvMsgSize(options.Limits.receiveBytes()),
			grpc.InitialWindowSize(streamWindowBytes),
			grpc.InitialConnWindowSize(connectionWindowBytes),
			grpc.ReadBufferSize(connectionBufferBytes),
			grpc.WriteBufferSize(connectionBufferBytes),
			grpc.MaxConcurrentStreams(maxStreams),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minClientPing, PermitWithoutStream: true}),
			// What handlers use is closed after Stop.
			grpc.WaitForHandlers(true),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: serverPing, Timeout: serverPingTimeout}),
		),
	}
	s.data = &kvService{
		options: options, busy: s.busy, toll: newToll(options.Clock), readers: newReaders(options.Clock),
		refusals: replica.NewBudget(maxRefusalBytes), watching: replica.NewBudget(maxWatchingBytes),
	}
	kvorumv1.RegisterKVServer(s.grpc, s.data)
	nodev1.RegisterNodeServer(s.grpc, &nodeService{options: options})
	return s
}

// Serve answers connections of the listener until Stop, and then returns nil.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.grpc.Serve(&boundedListener{Listener: listener, max: maxConnections}); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC: %w", err)
	}
	return nil
}

// Linger goes on answering for a moment, and returns when every message that was received is answered, or with ctx.
func (s *Server) Linger(ctx context.Context) {
	if s.busy.streams() > 0 {
		// The only error is the end of ctx, which ends the next wait too.
		_ = clock.Wait(ctx, s.clock, lingerTime)
	}
	s.busy.wait(ctx)
}

// Stop closes every connection and returns when all handlers have ended.
func (s *Server) Stop() { s.grpc.Stop() }

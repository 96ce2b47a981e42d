package server

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/replica"
)

// indexIdle is after how long without a question the connection to the leader is given up: where nobody reads with a
// bound there is none.
const indexIdle = 30 * time.Second

// IndexAsker asks leaders of this cluster and shard for read indices, over one connection to the one that leads. Not safe for
// concurrent use; replica.AskIndex does not need that.
type IndexAsker struct {
	dialer  *net.Dialer
	cluster string
	shard   uint32

	peer replica.Peer
	conn *grpc.ClientConn
}

// NewIndexAsker connects to nobody yet. Close it after the replica.
func NewIndexAsker(dialer *net.Dialer, cluster string, shard uint32) *IndexAsker {
	return &IndexAsker{dialer: dialer, cluster: cluster, shard: shard}
}

// Ask is replica.AskIndex. Who answers at the address is not taken at its word: the question says whom it means.
func (a *IndexAsker) Ask(ctx context.Context, leader replica.Peer) (uint64, error) {
	if err := a.turnTo(leader); err != nil {
		return 0, err
	}
	ctx = metadata.AppendToOutgoingContext(ctx,
		meantCluster, a.cluster, meantShard, strconv.FormatUint(uint64(a.shard), 10), meantNode, leader.ID)
	answer, err := nodev1.NewNodeClient(a.conn).ReadIndex(ctx, &nodev1.ReadIndexRequest{})
	if err != nil {
		// A new connection for the next question: this one may be in gRPC's backoff, or end in a stopped process.
		a.Close()
		return 0, fmt.Errorf("ask %s at %s for a read index: %w", leader.ID, leader.Address, err)
	}
	return answer.Index, nil
}

func (a *IndexAsker) turnTo(leader replica.Peer) error {
	if a.conn != nil && a.peer == leader {
		return nil
	}
	a.Close()
	conn, err := grpc.NewClient("passthrough:///"+leader.Address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return a.dialer.DialContext(ctx, "tcp", address)
		}),
		grpc.WithIdleTimeout(indexIdle))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", leader.Address, err)
	}
	a.peer, a.conn = leader, conn
	return nil
}

// Close gives up the connection. It may be called more than once.
func (a *IndexAsker) Close() {
	if a.conn != nil {
		// It only says that it was closed before.
		_ = a.conn.Close()
		a.conn = nil
	}
}

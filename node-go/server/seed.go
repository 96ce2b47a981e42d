package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"kvorum/node/clock"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

// seedSilence is how long a peer may send nothing before the next one is asked. A paused process keeps its connections, so
// nothing else would end the wait for it.
const seedSilence = 3 * time.Second

// Seeder gives a replica of this cluster and shard the means to be seeded by a peer. A peer is reached by the dialer.
func Seeder(c clock.Clock, dialer *net.Dialer, cluster string, shard uint32) replica.Fetch {
	return func(ctx context.Context, peer replica.Peer, atLeast uint64) (io.ReadCloser, error) {
		ctx, cancel := context.WithCancel(ctx)
		reader := &seedReader{cancel: cancel, clock: c, dialer: dialer}
		if err := reader.open(ctx, cluster, shard, peer, atLeast); err != nil {
			reader.Close()
			return nil, fmt.Errorf("ask %s for a seed: %w", peer.Address, err)
		}
		return reader, nil
	}
}

// seedReader is a Seed stream as bytes. It ends with io.EOF only when the peer has sent all.
type seedReader struct {
	cancel context.CancelFunc
	clock  clock.Clock
	dialer *net.Dialer
	conn   *grpc.ClientConn
	stream grpc.ServerStreamingClient[nodev1.SeedResponse]
	rest   []byte
}

// open first asks who answers: an address may have become another node's, of another shard even, and its data would
// be taken for ours. Both questions go over one connection, so it is the same process that answers both.
func (r *seedReader) open(ctx context.Context, cluster string, shard uint32, peer replica.Peer, atLeast uint64) error {
	var err error
	r.conn, err = grpc.NewClient("passthrough:///"+peer.Address, grpc.WithContextDialer(r.dialOnce()),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2*seedChunkBytes)))
	if err != nil {
		return err
	}
	client := nodev1.NewNodeClient(r.conn)
	silent := r.clock.AfterFunc(seedSilence, r.cancel)
	defer silent.Stop()
	answer, err := client.Status(ctx, &nodev1.StatusRequest{})
	if err != nil {
		return err
	}
	if s := answer.Status; s.ClusterId != cluster || s.Shard != shard || s.NodeId != peer.ID {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_WRONG_PEER, "node %q of cluster %q shard %d answers, not node %q",
			s.NodeId, s.ClusterId, s.Shard, peer.ID)
	}
	if r.stream, err = client.Seed(ctx, &nodev1.SeedRequest{AtLeastIndex: atLeast}); err != nil {
		return err
	}
	// A refusal shows with the first message.
	return r.fill()
}

// errOneConnection ends a seed whose connection broke: the next one might lead to another process.
var errOneConnection = errors.New("a seed has one connection")

func (r *seedReader) dialOnce() func(context.Context, string) (net.Conn, error) {
	var dialled atomic.Bool
	return func(ctx context.Context, address string) (net.Conn, error) {
		if dialled.Swap(true) {
			return nil, errOneConnection
		}
		return r.dialer.DialContext(ctx, "tcp", address)
	}
}

func (r *seedReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *seedReader) fill() error {
	silent := r.clock.AfterFunc(seedSilence, r.cancel)
	defer silent.Stop()
	message, err := r.stream.Recv()
	if err != nil {
		// io.EOF as it is, which says that all has come.
		return err
	}
	r.rest = message.Chunk
	return nil
}

func (r *seedReader) Close() error {
	r.cancel()
	if r.conn == nil {
		return nil
	}
	return r.conn.Close()
}

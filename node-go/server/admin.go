package server

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

// seedChunkBytes is the size of a Seed message.
const seedChunkBytes = 256 << 10

// nodeService is node.v1.Node.
type nodeService struct {
	nodev1.UnimplementedNodeServer
	options Options
}

func (s *nodeService) Status(context.Context, *nodev1.StatusRequest) (*nodev1.StatusResponse, error) {
	return &nodev1.StatusResponse{Status: s.options.Node.Status()}, nil
}

// Watch sends the status now and whenever something in it but an index changes. Changes that a slow watcher misses
// coalesce.
func (s *nodeService) Watch(_ *nodev1.WatchRequest, stream grpc.ServerStreamingServer[nodev1.WatchResponse]) error {
	var last *nodev1.NodeStatus
	for {
		changed := s.options.Node.Changed()
		now := s.options.Node.Status()
		if last == nil || !sameApartFromIndices(last, now) {
			if err := stream.Send(&nodev1.WatchResponse{Status: now}); err != nil {
				return err
			}
			last = now
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

func sameApartFromIndices(a, b *nodev1.NodeStatus) bool {
	a, b = proto.CloneOf(a), proto.CloneOf(b)
	for _, status := range []*nodev1.NodeStatus{a, b} {
		status.LastLogIndex, status.CommitIndex, status.AppliedIndex, status.SyncedIndex = 0, 0, 0, 0
		for _, member := range status.Members {
			member.Behind = 0
		}
	}
	return proto.Equal(a, b)
}

func (s *nodeService) Bootstrap(ctx context.Context, request *nodev1.BootstrapRequest) (*nodev1.BootstrapResponse, error) {
	target, err := s.options.Node.AwaitReplica(ctx)
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	if err := s.setPeers(request.Members); err != nil {
		return nil, s.options.fail(ctx, err)
	}
	ids := make([]string, len(request.Members))
	for i, member := range request.Members {
		ids[i] = member.Id
	}
	slices.Sort(ids)
	if len(ids) == 0 || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		return nil, s.options.fail(ctx, invalid("members must be named, each once"))
	}
	if err := target.Bootstrap(ctx, ids); err != nil {
		return nil, s.options.fail(ctx, err)
	}
	return &nodev1.BootstrapResponse{}, nil
}

func (s *nodeService) SetPeers(ctx context.Context, request *nodev1.SetPeersRequest) (*nodev1.SetPeersResponse, error) {
	if err := s.setPeers(request.Peers); err != nil {
		return nil, s.options.fail(ctx, err)
	}
	return &nodev1.SetPeersResponse{}, nil
}

func (s *nodeService) setPeers(peers []*kvorumv1.Node) *kverr.Error {
	for _, peer := range peers {
		if peer.Id == "" || peer.Address == "" {
			return invalid("a peer needs an id and an address")
		}
	}
	if err := s.options.Node.SetPeers(peers); err != nil {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INTERNAL, "remember peers: %w", err)
	}
	return nil
}

func (s *nodeService) Campaign(ctx context.Context, _ *nodev1.CampaignRequest) (*nodev1.CampaignResponse, error) {
	target, err := s.options.Node.AwaitReplica(ctx)
	if err == nil {
		err = target.Campaign(ctx)
	}
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	return &nodev1.CampaignResponse{}, nil
}

func (s *nodeService) TransferLeadership(ctx context.Context, request *nodev1.TransferLeadershipRequest) (*nodev1.TransferLeadershipResponse, error) {
	target, err := s.options.Node.AwaitReplica(ctx)
	if err == nil {
		err = target.TransferLeadership(ctx, request.NodeId)
	}
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	return &nodev1.TransferLeadershipResponse{}, nil
}

func (s *nodeService) AssignPartitions(ctx context.Context, request *nodev1.AssignPartitionsRequest) (*nodev1.AssignPartitionsResponse, error) {
	target, err := s.options.Node.AwaitReplica(ctx)
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	assign := &command.AssignPartitions{Epoch: request.Epoch, Owned: rangesOf(request.Owned)}
	if err := target.Assign(ctx, assign, s.deadline(ctx)); err != nil {
		return nil, s.options.fail(ctx, err)
	}
	return &nodev1.AssignPartitionsResponse{}, nil
}

func (s *nodeService) ReadIndex(ctx context.Context, _ *nodev1.ReadIndexRequest) (*nodev1.ReadIndexResponse, error) {
	target, err := s.options.Node.Replica()
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	index, err := target.ReadIndex(ctx, s.deadline(ctx))
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	return &nodev1.ReadIndexResponse{Index: index}, nil
}

// Seed streams a pinned view. Whoever reads too slowly holds the view, so a stuck stream is ended as a lane's is.
func (s *nodeService) Seed(request *nodev1.SeedRequest, stream grpc.ServerStreamingServer[nodev1.SeedResponse]) error {
	ctx := stream.Context()
	target, err := s.options.Node.Replica()
	if err != nil {
		return s.options.failStream(stream, err)
	}
	view, err := target.Seed(request.AtLeastIndex)
	if err != nil {
		return s.options.failStream(stream, err)
	}
	defer view.Close()
	writer := &chunkWriter{send: func(chunk []byte) error {
		return stream.Send(&nodev1.SeedResponse{Chunk: chunk})
	}}
	if _, err := view.WriteTo(writer); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.options.failStream(stream, readError(fmt.Errorf("stream a view: %w", err)))
	}
	return writer.flush()
}

func (s *nodeService) deadline(ctx context.Context) time.Time {
	now := s.options.Clock.Now()
	if deadline, ok := ctx.Deadline(); ok {
		return deadline
	}
	return now.Add(s.options.Limits.DefaultTimeout)
}

func invalid(message string) *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "%s", message)
}

// chunkWriter gathers what is written into messages of seedChunkBytes.
type chunkWriter struct {
	send    func([]byte) error
	pending []byte
}

var _ io.Writer = (*chunkWriter)(nil)

func (w *chunkWriter) Write(data []byte) (int, error) {
	written := 0
	for len(data) > 0 {
		n := min(len(data), seedChunkBytes-len(w.pending))
		w.pending = append(w.pending, data[:n]...)
		data = data[n:]
		written += n
		if len(w.pending) == seedChunkBytes {
			if err := w.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

// flush sends what is pending. Each message has its own bytes: gRPC may still refer to the last one's.
func (w *chunkWriter) flush() error {
	if len(w.pending) == 0 {
		return nil
	}
	chunk := w.pending
	w.pending = nil
	return w.send(chunk)
}

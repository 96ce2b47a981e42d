package server

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"kvorum/node/fsm"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
	"kvorum/node/move"
)

// The movement of partitions (node-go/move/DESIGN.md).

// Import carries a move out, and sends how far it is.
func (s *nodeService) Import(request *nodev1.ImportRequest, stream grpc.ServerStreamingServer[nodev1.ImportResponse]) error {
	target, err := s.options.Node.Replica()
	if err == nil {
		err = s.options.Importer.Import(stream.Context(), target, request, stream.Send)
	}
	if err != nil {
		return s.options.failStream(stream, err)
	}
	return nil
}

// Export sends what Import on another shard reads. Whoever reads slowly holds a view, but no write: what is kept for it is bounded.
func (s *nodeService) Export(request *nodev1.ExportRequest, stream grpc.ServerStreamingServer[nodev1.ExportResponse]) error {
	ctx := stream.Context()
	target, err := s.options.Node.Replica()
	if err != nil {
		return s.options.failStream(stream, err)
	}
	x, err := target.Export(ctx, request.Epoch, rangesOf(request.Partitions), s.deadline(ctx))
	if err != nil {
		return s.options.failStream(stream, err)
	}
	defer x.Close()
	if err := move.Export(ctx, x, request.Format, stream.Send); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var refused *kverr.Error
		if errors.As(err, &refused) {
			return s.options.failStream(stream, refused)
		}
		return s.options.failStream(stream, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "%w", err))
	}
	return nil
}

func (s *nodeService) Move(ctx context.Context, request *nodev1.MoveRequest) (*nodev1.MoveResponse, error) {
	if _, known := nodev1.MoveStep_name[int32(request.Step)]; !known || request.Step == nodev1.MoveStep_MOVE_STEP_UNSPECIFIED {
		return nil, s.options.fail(ctx, invalid("unknown step of a move"))
	}
	target, err := s.options.Node.AwaitReplica(ctx)
	if err == nil {
		err = target.Propose(ctx, move.Command(request), s.deadline(ctx)).Err
	}
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	return &nodev1.MoveResponse{}, nil
}

func (s *nodeService) Partitions(ctx context.Context, _ *nodev1.PartitionsRequest) (*nodev1.PartitionsResponse, error) {
	target, err := s.options.Node.AwaitReplica(ctx)
	if err == nil {
		err = target.Confirm(ctx, s.deadline(ctx))
	}
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	holdings := target.Partitions()
	if holdings == nil {
		return nil, s.options.fail(ctx, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "the node is being restored from a snapshot"))
	}
	return &nodev1.PartitionsResponse{Partitions: reports(holdings[:])}, nil
}

// reports joins neighbours that are alike, and leaves out what nothing is known of.
func reports(holdings []fsm.Holding) []*nodev1.PartitionReport {
	var list []*nodev1.PartitionReport
	for number, h := range holdings {
		switch {
		case h == fsm.Holding{}:
		case number > 0 && h == holdings[number-1]:
			list[len(list)-1].Last = uint32(number)
		default:
			list = append(list, &nodev1.PartitionReport{
				First: uint32(number), Last: uint32(number), State: stateOf(h.State), Epoch: h.Epoch,
			})
		}
	}
	return list
}

func stateOf(o fsm.Ownership) nodev1.PartitionState {
	switch o {
	case fsm.Owned:
		return nodev1.PartitionState_PARTITION_STATE_OWNED
	case fsm.Frozen:
		return nodev1.PartitionState_PARTITION_STATE_FROZEN
	case fsm.Importing:
		return nodev1.PartitionState_PARTITION_STATE_IMPORTING
	case fsm.Imported:
		return nodev1.PartitionState_PARTITION_STATE_IMPORTED
	case fsm.Released:
		return nodev1.PartitionState_PARTITION_STATE_RELEASED
	default:
		return nodev1.PartitionState_PARTITION_STATE_NONE
	}
}

func rangesOf(ranges []*nodev1.PartitionRange) []*command.PartitionRange {
	list := make([]*command.PartitionRange, len(ranges))
	for i, r := range ranges {
		list[i] = &command.PartitionRange{First: r.First, Last: r.Last}
	}
	return list
}

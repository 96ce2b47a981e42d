package server

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"kvorum/node/engine"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
)

// errorTrailer carries the whole error of a unary call.
const errorTrailer = "kvorum-error-bin"

// statusOf is the gRPC code that protos/errors.proto gives to an error code.
var statusOf = readStatuses()

func readStatuses() map[pb.ErrorCode]codes.Code {
	table := make(map[pb.ErrorCode]codes.Code)
	values := pb.ErrorCode(0).Descriptor().Values()
	for i := range values.Len() {
		class, ok := proto.GetExtension(values.Get(i).Options(), pb.E_Class).(*pb.ErrorClass)
		if ok && class != nil {
			table[pb.ErrorCode(values.Get(i).Number())] = codes.Code(class.GrpcStatus)
		}
	}
	return table
}

// errNoClusterMap answers KV.ClusterMap, which only gateways serve.
var errNoClusterMap = status.Error(codes.Unimplemented, "a node does not serve the cluster map: ask a gateway")

// fail ends a unary call: a gRPC status, and the whole error in the trailer.
func (o Options) fail(ctx context.Context, err *kverr.Error) error {
	return failWith(ctx, err.Proto(o.Shard, o.NodeID))
}

// failStream ends a stream in the same way.
func (o Options) failStream(stream grpc.ServerStream, err *kverr.Error) error {
	return failWith(stream.Context(), err.Proto(o.Shard, o.NodeID))
}

func failWith(ctx context.Context, failure *pb.Error) error {
	if data, err := proto.Marshal(failure); err == nil {
		// Fails only when the call is already over.
		_ = grpc.SetTrailer(ctx, metadata.Pairs(errorTrailer, string(data)))
	}
	code, ok := statusOf[failure.Code]
	if !ok {
		code = codes.Internal
	}
	return status.Error(code, failure.Message)
}

// travelled is the error of a call to another node. What brings no error of ours may have had an effect.
func travelled(trailer metadata.MD, err error) *kverr.Error {
	if data := trailer.Get(errorTrailer); len(data) > 0 {
		whole := new(pb.Error)
		if proto.Unmarshal([]byte(data[0]), whole) == nil {
			return kverr.From(whole)
		}
	}
	return kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "%w", err)
}

func (o Options) failed(err *kverr.Error) *kvorumv1.Result {
	return &kvorumv1.Result{Kind: &kvorumv1.Result_Error{Error: err.Proto(o.Shard, o.NodeID)}}
}

// readError is a failed read of the state machine, which never has an effect.
func readError(err error) *kverr.Error {
	var known *kverr.Error
	if errors.As(err, &known) {
		return known
	}
	var corrupt *engine.CorruptError
	if errors.As(err, &corrupt) {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_CORRUPT, "stored bytes failed their checksum: %w", err)
	}
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INTERNAL, "read: %w", err)
}

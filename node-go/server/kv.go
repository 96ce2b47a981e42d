package server

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

// kvService is kvorum.v1.KV as a node serves it.
type kvService struct {
	kvorumv1.UnimplementedKVServer
	options Options
	busy    *busy
	toll    *toll
	readers *readers
	// refusals are not counted with what they are refused for: there would be no room to refuse.
	refusals *replica.Budget
	// watching bounds what is on its way to watchers.
	watching *replica.Budget
}

func (s *kvService) Get(ctx context.Context, request *kvorumv1.GetRequest) (*kvorumv1.GetResponse, error) {
	result, err := s.one(ctx, &kvorumv1.Operation{Kind: &kvorumv1.Operation_Get{Get: request}})
	return result.GetGet(), err
}

func (s *kvService) Put(ctx context.Context, request *kvorumv1.PutRequest) (*kvorumv1.PutResponse, error) {
	result, err := s.one(ctx, &kvorumv1.Operation{Kind: &kvorumv1.Operation_Put{Put: request}})
	return result.GetPut(), err
}

func (s *kvService) Delete(ctx context.Context, request *kvorumv1.DeleteRequest) (*kvorumv1.DeleteResponse, error) {
	result, err := s.one(ctx, &kvorumv1.Operation{Kind: &kvorumv1.Operation_Delete{Delete: request}})
	return result.GetDelete(), err
}

func (s *kvService) Transaction(ctx context.Context, request *kvorumv1.TransactionRequest) (*kvorumv1.TransactionResponse, error) {
	result, err := s.one(ctx, &kvorumv1.Operation{Kind: &kvorumv1.Operation_Transaction{Transaction: request}})
	return result.GetTransaction(), err
}

func (s *kvService) Batch(stream grpc.BidiStreamingServer[kvorumv1.BatchRequest, kvorumv1.BatchResponse]) error {
	if !s.busy.enter(s.options.Limits.MaxLanes) {
		return s.options.failStream(stream, replica.Overloaded("the node has as many Batch streams as it may", crowdedRetry))
	}
	defer s.busy.leave()
	return newLane(s, stream).run()
}

func (s *kvService) ClusterMap(*kvorumv1.ClusterMapRequest, grpc.ServerStreamingServer[kvorumv1.ClusterMapResponse]) error {
	return errNoClusterMap
}

// one answers a unary call as a message of one operation.
func (s *kvService) one(ctx context.Context, op *kvorumv1.Operation) (*kvorumv1.Result, error) {
	s.busy.begin()
	defer s.busy.end()
	request := &kvorumv1.BatchRequest{Operations: []*kvorumv1.Operation{op}}
	if deadline, ok := ctx.Deadline(); ok {
		left := deadline.Sub(s.options.Clock.Now())
		if left <= 0 {
			return nil, s.options.fail(ctx, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED, "the deadline has passed"))
		}
		request.TimeoutMs = uint32(min(left, s.options.Limits.MaxTimeout).Milliseconds()) + 1
	}
	hold, refusal := s.options.admit(outlineOf(request))
	if refusal != nil {
		return nil, s.options.fail(ctx, refusal)
	}
	defer hold.Release()
	deadline := s.options.Limits.deadline(s.options.Clock.Now(), request.TimeoutMs)
	result := s.options.execute(ctx, request, deadline, hold, s.readers.shed)[0]
	if failure := result.GetError(); failure != nil {
		return nil, failWith(ctx, failure)
	}
	return result, nil
}

// outlineOf is that of a message which gRPC has decoded already: one operation.
func outlineOf(request *kvorumv1.BatchRequest) outline {
	said := outline{operations: 1, size: proto.Size(request)}
	op := request.Operations[0]
	if op.GetGet() == nil && op.GetTtlOf() == nil {
		said.writes = 1
	}
	if t := op.GetTransaction(); t != nil {
		said.parts = len(t.Conditions) + len(t.Then) + len(t.Otherwise)
	}
	return said
}

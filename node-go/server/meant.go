package server

import (
	"context"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Whom a caller means, in the metadata of its request. What it does not say is not checked.
const (
	meantCluster = "kvorum-cluster"
	meantShard   = "kvorum-shard"
	meantNode    = "kvorum-node"
)

// meant refuses a call that is meant for another node: addresses are used again, and a leader of another cluster, or of
// another shard, would answer as if nothing were wrong. Nothing has been done then.
func (o Options) meant(ctx context.Context) *kverr.Error {
	asked, _ := metadata.FromIncomingContext(ctx)
	for _, id := range []struct{ key, mine string }{
		{meantCluster, o.Cluster}, {meantShard, strconv.FormatUint(uint64(o.Shard), 10)}, {meantNode, o.NodeID},
	} {
		if value := asked.Get(id.key); len(value) > 0 && value[0] != id.mine {
			return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_WRONG_PEER,
				"this is node %s of shard %d of cluster %s, the call is meant for %s %q: refresh the cluster map",
				o.NodeID, o.Shard, o.Cluster, id.key, value[0])
		}
	}
	return nil
}

func (o Options) meantUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := o.meant(ctx); err != nil {
		return nil, o.fail(ctx, err)
	}
	return handle(ctx, request)
}

func (o Options) meantStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := o.meant(stream.Context()); err != nil {
		return o.failStream(stream, err)
	}
	return handle(service, stream)
}

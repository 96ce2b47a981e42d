package server

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/replica"
)

func (s *nodeService) RaiseFormat(ctx context.Context, request *nodev1.RaiseFormatRequest) (*nodev1.RaiseFormatResponse, error) {
	target, err := s.options.Node.Replica()
	if err == nil && request.Format == 0 {
		err = invalid("a format is required")
	}
	if err == nil {
		err = target.RaiseFormat(ctx, request.Format, s.deadline(ctx))
	}
	if err != nil {
		return nil, s.options.fail(ctx, err)
	}
	return &nodev1.RaiseFormatResponse{}, nil
}

// FormatAsker asks nodes of this cluster and shard which formats they know, each over a connection of its own: it is asked
// once in a node's life or so.
func FormatAsker(dialer *net.Dialer, cluster string, shard uint32) replica.AskFormat {
	return func(ctx context.Context, peer replica.Peer) (uint32, error) {
		conn, err := grpc.NewClient("passthrough:///"+peer.Address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", address)
			}))
		if err != nil {
			return 0, fmt.Errorf("connect to %s: %w", peer.Address, err)
		}
		defer conn.Close()
		ctx = metadata.AppendToOutgoingContext(ctx,
			meantCluster, cluster, meantShard, strconv.FormatUint(uint64(shard), 10), meantNode, peer.ID)
		answer, err := nodev1.NewNodeClient(conn).Status(ctx, &nodev1.StatusRequest{})
		if err != nil {
			return 0, fmt.Errorf("ask %s at %s for its status: %w", peer.ID, peer.Address, err)
		}
		// A version that did not tell knew the first one.
		return max(answer.Status.GetFormatMax(), 1), nil
	}
}

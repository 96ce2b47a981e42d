package server

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
)

func TestACallMeantForAnotherNodeIsRefusedAndDoesNothing(t *testing.T) {
	b := start(t, nil)
	for name, meant := range map[string][]string{
		"cluster": {meantCluster, "other", meantShard, "7", meantNode, "n"},
		"shard":   {meantCluster, "c", meantShard, "8", meantNode, "n"},
		"node":    {meantCluster, "c", meantShard, "7", meantNode, "m"},
	} {
		ctx := metadata.AppendToOutgoingContext(b.ctx, meant...)
		if _, err := b.kv.Put(ctx, &kvorumv1.PutRequest{Key: []byte("k"), Value: []byte("v")}); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("put, another %s: %v", name, err)
		}
		if _, err := b.admin.Campaign(ctx, &nodev1.CampaignRequest{}); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("campaign, another %s: %v", name, err)
		}
		lane, err := b.kv.Batch(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lane.Recv(); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("lane, another %s: %v", name, err)
		}
	}
	if len(b.node.values) != 0 {
		t.Errorf("written: %v", b.node.values)
	}
}

func TestACallMeantForThisNodeIsAnswered(t *testing.T) {
	b := start(t, nil)
	ctx := metadata.AppendToOutgoingContext(b.ctx, meantCluster, "c", meantShard, "7", meantNode, "n")
	if _, err := b.kv.Put(ctx, &kvorumv1.PutRequest{Key: []byte("k"), Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
}

package server

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

func stale(key string, ms uint32) *kvorumv1.Operation {
	get := &kvorumv1.GetRequest{Key: []byte(key), StaleMs: proto.Uint32(ms)}
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Get{Get: get}}
}

func TestAReadWithABoundAsksForThatMuchAndNotForLeadership(t *testing.T) {
	b := start(t, nil)
	b.node.confirm = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "follows")
	b.node.provable = 100 * time.Millisecond
	b.node.set("k", "v")
	results := b.ask(t, stale("k", 20), stale("k", 500), get("k"), stale("k", 0), stale("k", 100), stale("k", 500))
	for _, i := range []int{1, 4, 5} {
		if value := results[i].GetGet().GetValue(); string(value) != "v" {
			t.Errorf("operation %d: got %v", i, results[i])
		}
	}
	expectCode(t, results[0], pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
	expectCode(t, results[2], pb.ErrorCode_ERROR_CODE_NOT_LEADER)
	expectCode(t, results[3], pb.ErrorCode_ERROR_CODE_NOT_LEADER)
	want := []time.Duration{500 * time.Millisecond, 100 * time.Millisecond, 20 * time.Millisecond}
	if !slices.Equal(b.node.bounds, want) {
		t.Errorf("asked for %v, want %v", b.node.bounds, want)
	}
}

func TestAUnaryReadWithABound(t *testing.T) {
	b := start(t, nil)
	b.node.confirm = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "follows")
	b.node.set("k", "v")
	answer, err := b.kv.Get(b.ctx, &kvorumv1.GetRequest{Key: []byte("k"), StaleMs: proto.Uint32(1)})
	if err != nil || string(answer.Value) != "v" {
		t.Fatalf("got %v %v", answer, err)
	}
}

func TestReadIndexIsTheLeadersOnly(t *testing.T) {
	b := start(t, nil)
	b.node.index = 41
	answer, err := b.admin.ReadIndex(b.ctx, &nodev1.ReadIndexRequest{})
	if err != nil || answer.Index != 41 {
		t.Fatalf("got %v %v", answer, err)
	}
	b.node.confirm = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "follows")
	if _, err := b.admin.ReadIndex(b.ctx, &nodev1.ReadIndexRequest{}); status.Code(err) == codes.OK {
		t.Fatal("a follower gave an index")
	}
}

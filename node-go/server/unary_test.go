package server

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
)

func TestUnaryCalls(t *testing.T) {
	b := start(t, nil)
	if answer, err := b.kv.Put(b.ctx, &kvorumv1.PutRequest{Key: []byte("k"), Value: []byte("v")}); err != nil || answer.Version != 1 {
		t.Fatalf("got %v %v", answer, err)
	}
	if answer, err := b.kv.Get(b.ctx, &kvorumv1.GetRequest{Key: []byte("k")}); err != nil || string(answer.Value) != "v" {
		t.Fatalf("got %v %v", answer, err)
	}
	if answer, err := b.kv.Delete(b.ctx, &kvorumv1.DeleteRequest{Key: []byte("k")}); err != nil || !answer.Existed {
		t.Fatalf("got %v %v", answer, err)
	}
}

func TestAUnaryErrorIsWholeInTheTrailer(t *testing.T) {
	b := start(t, nil)
	refusal := kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "not here")
	refusal.Leader = &pb.LeaderHint{NodeId: "other", Address: "127.0.0.1:1", Term: 9}
	b.node.confirm = refusal
	var trailer metadata.MD
	_, err := b.kv.Get(b.ctx, &kvorumv1.GetRequest{Key: []byte("k")}, grpc.Trailer(&trailer))
	if status.Code(err) != codes.Unavailable {
		t.Fatalf("got %v", err)
	}
	values := trailer.Get(errorTrailer)
	if len(values) != 1 {
		t.Fatalf("got %v", trailer)
	}
	failure := &pb.Error{}
	if err := proto.Unmarshal([]byte(values[0]), failure); err != nil {
		t.Fatal(err)
	}
	if want := refusal.Proto(7, "n"); !proto.Equal(failure, want) {
		t.Fatalf("got %v, want %v", failure, want)
	}
}

func TestEveryErrorCodeHasAStatus(t *testing.T) {
	for number, name := range pb.ErrorCode_name {
		if code, ok := statusOf[pb.ErrorCode(number)]; number != 0 && (!ok || code == codes.OK) {
			t.Errorf("%s has no gRPC status", name)
		}
	}
}

func TestANodeServesNoClusterMap(t *testing.T) {
	b := start(t, nil)
	stream, err := b.kv.ClusterMap(b.ctx, &kvorumv1.ClusterMapRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Fatalf("got %v", err)
	}
}

func TestAUnaryCallWhoseDeadlineHasPassed(t *testing.T) {
	b := start(t, nil)
	ctx, cancel := context.WithTimeout(b.ctx, 0)
	defer cancel()
	if _, err := b.kv.Get(ctx, &kvorumv1.GetRequest{Key: []byte("k")}); status.Code(err) != codes.DeadlineExceeded {
		t.Fatalf("got %v", err)
	}
}

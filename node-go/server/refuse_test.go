package server

import (
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvorum/node/clock/clocktest"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/replica"
)

func TestAStreamThatIsRefusedLittleRestsLittle(t *testing.T) {
	tolls := newToll(clocktest.New())
	for range 1000 {
		tolls.charge(outline{operations: 4096, size: 120_000})
		tolls.rested()
	}
	if rest := tolls.charge(outline{operations: 1, size: 50}); rest > 2*time.Millisecond {
		t.Fatalf("it rests %s for what others owe", rest)
	}
}

func TestRefusalsThatNobodyReadsAreBounded(t *testing.T) {
	// On a busy machine it takes long to fill the room, and those who do not read must stay until it is full.
	b := start(t, func(o *Options) { o.Limits.SendTimeout = testLimit })
	refusals := b.server.data.refusals
	b.node.full = replica.Overloaded("full", 0)
	many := make([]*kvorumv1.Operation, maxOperations)
	for i := range many {
		many[i] = put("k", "")
	}
	// Each of these refusals is megabytes, and the first ones are not read.
	ask := func() grpc.BidiStreamingClient[kvorumv1.BatchRequest, kvorumv1.BatchResponse] {
		lane := b.lane(t)
		if err := lane.Send(&kvorumv1.BatchRequest{Operations: many}); err != nil {
			t.Fatal(err)
		}
		return lane
	}
	first, size := ask(), int64(0)
	for size == 0 {
		size = maxRefusalBytes - refusals.Free()
	}
	held := []grpc.BidiStreamingClient[kvorumv1.BatchRequest, kvorumv1.BatchResponse]{first}
	for refusals.Free() >= size {
		before := refusals.Free()
		held = append(held, ask())
		for refusals.Free() == before {
			runtime.Gosched()
		}
	}
	if _, err := ask().Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("got %v", err)
	}
	for _, lane := range held {
		if response, err := lane.Recv(); err != nil || len(response.Results) != maxOperations {
			t.Fatalf("got %d results, %v", len(response.GetResults()), err)
		}
	}
	for refusals.Free() != maxRefusalBytes {
		runtime.Gosched()
	}
}

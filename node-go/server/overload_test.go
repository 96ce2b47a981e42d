package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	"kvorum/node/clock/clocktest"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/replica"
)

func frameOf(t *testing.T, request *kvorumv1.BatchRequest) *frame {
	t.Helper()
	data, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return &frame{buffer: mem.SliceBuffer(data)}
}

func TestAnOutlineIsWhatTheMessageHolds(t *testing.T) {
	f := frameOf(t, &kvorumv1.BatchRequest{
		Id: 1 << 40, Epoch: 3, TimeoutMs: 4, Sessions: []*kvorumv1.Session{{Id: []byte("s")}},
		Operations: []*kvorumv1.Operation{get("a"), put("b", "v"), remove("c"), {}},
	})
	said, err := f.outline()
	if err != nil || said.id != 1<<40 || said.operations != 4 || said.writes != 3 || said.sessions != 1 || said.size != f.size() {
		t.Fatalf("got %+v %v", said, err)
	}
	answer := &kvorumv1.BatchResponse{}
	same := said.sameForAll(encodeResult(&kvorumv1.Result{Kind: &kvorumv1.Result_Error{Error: &pb.Error{Message: "no"}}}))
	if err := proto.Unmarshal(same, answer); err != nil {
		t.Fatal(err)
	}
	if answer.Id != 1<<40 || len(answer.Results) != 4 || answer.Results[3].GetError().Message != "no" {
		t.Fatalf("got %v", answer)
	}
}

func TestBytesThatAreNoMessageHaveNoOutline(t *testing.T) {
	whole := frameOf(t, &kvorumv1.BatchRequest{Id: 300, Operations: []*kvorumv1.Operation{put("key", "value")}}).buffer.ReadOnlyData()
	for n := range whole {
		f := &frame{buffer: mem.SliceBuffer(whole[:n])}
		_, scanned := f.outline()
		_, decoded := f.decode()
		if decoded == nil && scanned != nil {
			t.Fatalf("%d bytes: refused, though they are a message", n)
		}
	}
	for _, junk := range [][]byte{{0xff}, {0x22, 0x7f}, bytes.Repeat([]byte{0x80}, 20)} {
		if _, err := (&frame{buffer: mem.SliceBuffer(junk)}).outline(); status.Code(err) != codes.InvalidArgument {
			t.Fatalf("%x: got %v", junk, err)
		}
	}
}

// The budget means bytes of memory only if what it counts for an operation is what one takes.
func TestAnOperationWeighsWhatItHolds(t *testing.T) {
	const count = 10_000
	request := &kvorumv1.BatchRequest{}
	for range count {
		request.Operations = append(request.Operations, put("a key of 20 bytes...", "value"))
	}
	f := frameOf(t, request)
	said, err := f.outline()
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	decoded, err := f.decode()
	if err != nil {
		t.Fatal(err)
	}
	limits := DefaultLimits()
	writes := make([]any, 0, count)
	for _, op := range decoded.Operations {
		writes = append(writes, limits.toWrite(op), &kvorumv1.Result{Kind: &kvorumv1.Result_Put{Put: &kvorumv1.PutResponse{}}})
	}
	runtime.ReadMemStats(&after)
	if held := int64(after.TotalAlloc - before.TotalAlloc); held > said.weight() {
		t.Fatalf("%d operations hold %d bytes and count for %d", count, held, said.weight())
	}
	runtime.KeepAlive(writes)
}

func TestWhatFindsNoRoomIsRefusedBeforeItIsDecoded(t *testing.T) {
	b := start(t, func(o *Options) { o.Budget = replica.NewBudget(1000) })
	lane, err := b.kv.Batch(b.ctx, grpc.ForceCodecV2(newRawCodec()))
	if err != nil {
		t.Fatal(err)
	}
	operations := []*kvorumv1.Operation{put("k", ""), put("k", "value")}
	f := frameOf(t, &kvorumv1.BatchRequest{Id: 7, Operations: operations})
	// The last value says that it is longer than it is, so decoding would fail.
	data := f.buffer.ReadOnlyData()
	data[bytes.LastIndex(data, []byte("value"))-1] = 100
	if err := lane.SendMsg(f); err != nil {
		t.Fatal(err)
	}
	response, err := lane.Recv()
	if err != nil || response.Id != 7 || len(response.Results) != 2 {
		t.Fatalf("got %v %v", response, err)
	}
	for _, result := range response.Results {
		expectCode(t, result, pb.ErrorCode_ERROR_CODE_OVERLOADED)
		if result.GetError().RetryAfterMs == 0 {
			t.Fatal("no advice when to come again")
		}
	}
	if len(b.node.batches) > 0 {
		t.Fatal("a refused write came to the replica")
	}
}

func TestAFullReplicaRefusesWritesAndServesReads(t *testing.T) {
	b := start(t, nil)
	b.node.set("k", "v")
	b.node.full = replica.Overloaded("full", 300*time.Millisecond)
	result := b.ask(t, put("k", "w"))[0]
	expectCode(t, result, pb.ErrorCode_ERROR_CODE_OVERLOADED)
	if result.GetError().RetryAfterMs != 300 {
		t.Fatalf("got %v", result)
	}
	if got := b.ask(t, get("k"))[0].GetGet(); string(got.GetValue()) != "v" {
		t.Fatalf("got %v", got)
	}
	if _, err := b.kv.Put(b.ctx, &kvorumv1.PutRequest{Key: []byte("k")}); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("got %v", err)
	}
}

func TestARefusedStreamRests(t *testing.T) {
	manual := clocktest.New()
	b := start(t, func(o *Options) { o.Clock = manual })
	b.node.full = replica.Overloaded("full", 0)
	lane := b.lane(t)
	for id := range uint64(2) {
		if err := lane.Send(&kvorumv1.BatchRequest{Id: id, Operations: []*kvorumv1.Operation{put("k", "")}}); err != nil {
			t.Fatal(err)
		}
	}
	if response, err := lane.Recv(); err != nil || response.Id != 0 {
		t.Fatalf("got %v %v", response, err)
	}
	b.server.busy.wait(b.ctx)
	// What waits now is the stream, which rests before it is read again.
	manual.AwaitTimers(1)
	manual.Advance(maxToll)
	if response, err := lane.Recv(); err != nil || response.Id != 1 {
		t.Fatalf("got %v %v", response, err)
	}
}

func TestTheTollGrowsWithWhatWasRefusedAndIsForgotten(t *testing.T) {
	manual := clocktest.New()
	tolls := newToll(manual)
	said := outline{operations: 4096, size: 120_000}
	first, second := tolls.charge(said), tolls.charge(said)
	if first <= 0 || second != 2*first {
		t.Fatalf("got %s, then %s", first, second)
	}
	for range 1000 {
		tolls.charge(said)
	}
	if most := tolls.charge(said); most != maxToll {
		t.Fatalf("got %s", most)
	}
	manual.Advance(2 * maxDebt)
	for range 1003 {
		tolls.rested()
	}
	if again := tolls.charge(said); again != first {
		t.Fatalf("got %s, want %s again", again, first)
	}
}

func TestAMessageOfTooManyOperationsEndsItsStream(t *testing.T) {
	b := start(t, nil)
	lane := b.lane(t)
	many := make([]*kvorumv1.Operation, maxOperations+1)
	for i := range many {
		many[i] = &kvorumv1.Operation{}
	}
	if err := lane.Send(&kvorumv1.BatchRequest{Operations: many}); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if _, err := lane.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("got %v", err)
	}
}

func TestOneLaneTooManyIsOverloaded(t *testing.T) {
	b := start(t, func(o *Options) { o.Limits.MaxLanes = 1 })
	first := b.lane(t)
	if err := first.Send(&kvorumv1.BatchRequest{Operations: []*kvorumv1.Operation{put("k", "")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Recv(); err != nil {
		t.Fatal(err)
	}
	var trailer metadata.MD
	second, err := b.kv.Batch(b.ctx, grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("got %v", err)
	}
	failure := &pb.Error{}
	if values := second.Trailer().Get(errorTrailer); len(values) != 1 || proto.Unmarshal([]byte(values[0]), failure) != nil {
		t.Fatalf("got %v", second.Trailer())
	}
	if failure.Code != pb.ErrorCode_ERROR_CODE_OVERLOADED || failure.Outcome != pb.Outcome_OUTCOME_NOT_APPLIED || failure.RetryAfterMs == 0 {
		t.Fatalf("got %v", failure)
	}
}

func TestDataStreamsAreCountedUntilTheyEnd(t *testing.T) {
	s := &streams{max: 1}
	data, admin := &tap.Info{FullMethodName: "/kvorum.v1.KV/Put"}, &tap.Info{FullMethodName: "/node.v1.Node/Status"}
	ctx, end := context.WithCancel(context.Background())
	if _, err := s.tap(ctx, data); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tap(context.Background(), data); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("got %v", err)
	}
	if _, err := s.tap(context.Background(), admin); err != nil {
		t.Fatalf("got %v", err)
	}
	end()
	for s.open.Load() != 0 {
		runtime.Gosched()
	}
	if _, err := s.tap(context.Background(), data); err != nil {
		t.Fatal(err)
	}
}

func TestOneConnectionTooManyIsClosed(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	listener := &boundedListener{Listener: inner, max: 1}
	accepted := make(chan net.Conn, 2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	first := dial()
	defer first.Close()
	served := <-accepted
	second := dial()
	if _, err := second.Read(make([]byte, 1)); err == nil {
		t.Fatal("a second connection is served")
	}
	second.Close()
	served.Close()
	served.Close()
	third := dial()
	defer third.Close()
	(<-accepted).Close()
	inner.Close()
	<-done
}

func TestAnAnswerCountsUntilItsClientHasReadIt(t *testing.T) {
	manual := clocktest.New()
	budget := replica.NewBudget(64 << 20)
	b := start(t, func(o *Options) { o.Clock, o.Budget = manual, budget })
	b.node.set("k", strings.Repeat("v", 1<<20))
	lane := b.lane(t)
	// One answer alone: gRPC takes all of it, and has it until the client reads.
	if err := lane.Send(&kvorumv1.BatchRequest{Operations: []*kvorumv1.Operation{get("k")}}); err != nil {
		t.Fatal(err)
	}
	manual.AwaitTimers(1)
	b.server.busy.wait(b.ctx)
	if held := 64<<20 - budget.Free(); held < 1<<20 {
		t.Fatalf("%d bytes count while the answer is on its way", held)
	}
	if _, err := lane.Recv(); err != nil {
		t.Fatal(err)
	}
	for budget.Free() != 64<<20 {
		runtime.Gosched()
	}
}

func TestAClientThatReadsOneAnswerAndNoMoreMakesRoomToo(t *testing.T) {
	manual := clocktest.New()
	budget := replica.NewBudget(4 << 20)
	b := start(t, func(o *Options) { o.Clock, o.Budget = manual, budget })
	b.node.set("k", strings.Repeat("v", 1<<20))
	slow := b.lane(t)
	for range 2 {
		if err := slow.Send(&kvorumv1.BatchRequest{Operations: []*kvorumv1.Operation{get("k")}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := slow.Recv(); err != nil {
		t.Fatal(err)
	}
	readers := b.server.data.readers
	for budget.Free() > 3<<20 || readers.count() != 1 {
		runtime.Gosched()
	}
	manual.Advance(patience)
	b.ask(t, get("k"), get("k"), get("k"))
	for budget.Free() != 4<<20 {
		runtime.Gosched()
	}
}

func (r *readers) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

func TestWhoDoesNotReadMakesRoomForOthers(t *testing.T) {
	manual := clocktest.New()
	budget := replica.NewBudget(4 << 20)
	b := start(t, func(o *Options) { o.Clock, o.Budget = manual, budget })
	b.node.set("k", strings.Repeat("v", 1<<20))
	slow := b.lane(t)
	if err := slow.Send(&kvorumv1.BatchRequest{Operations: []*kvorumv1.Operation{get("k"), get("k")}}); err != nil {
		t.Fatal(err)
	}
	manual.AwaitTimers(1)
	b.server.busy.wait(b.ctx)
	// Requests have room whatever answers hold, but another two values have none: the one who keeps it is sent away.
	manual.Advance(patience)
	expectCode(t, b.ask(t, get("k"), get("k"))[1], pb.ErrorCode_ERROR_CODE_OVERLOADED)
	var err error
	for err == nil {
		_, err = slow.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("the stream ended with %v", err)
	}
	for budget.Free() != 4<<20 {
		runtime.Gosched()
	}
	if got := b.ask(t, get("k"), get("k"))[1].GetGet(); got == nil {
		t.Fatal("no room, although nobody keeps any")
	}
}

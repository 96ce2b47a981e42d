package server

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvorum/node/clock/clocktest"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

func TestAMessageMixesOperations(t *testing.T) {
	b := start(t, nil)
	b.node.set("there", "value")
	results := b.ask(t, get("there"), put("new", "v"), get("absent"), remove("there"), &kvorumv1.Operation{}, put("", "v"))
	if got := results[0].GetGet(); !got.Found || string(got.Value) != "value" || got.Version != 1 {
		t.Fatalf("got %v", got)
	}
	if results[1].GetPut().GetVersion() != 1 || results[2].GetGet().GetFound() || !results[3].GetDelete().GetExisted() {
		t.Fatalf("got %v", results)
	}
	expectCode(t, results[4], pb.ErrorCode_ERROR_CODE_UNSUPPORTED)
	expectCode(t, results[5], pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}

func TestAnswersComeInAnyOrder(t *testing.T) {
	b := start(t, nil)
	slow := make(chan struct{})
	b.node.gate = func(key string) {
		if key == "slow" {
			<-slow
		}
	}
	lane := b.lane(t)
	for id, key := range []string{"slow", "fast"} {
		if err := lane.Send(&kvorumv1.BatchRequest{Id: uint64(id), Operations: []*kvorumv1.Operation{put(key, "")}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []uint64{1, 0} {
		response, err := lane.Recv()
		if err != nil || response.Id != want {
			t.Fatalf("got %v %v, want the answer to %d", response, err, want)
		}
		if want == 1 {
			close(slow)
		}
	}
}

func TestLimits(t *testing.T) {
	b := start(t, nil)
	big := strings.Repeat("v", 1<<20)
	for name, c := range map[string]struct {
		operations []*kvorumv1.Operation
		code       pb.ErrorCode
	}{
		"empty key":       {[]*kvorumv1.Operation{get("")}, pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		"long key":        {[]*kvorumv1.Operation{remove(strings.Repeat("k", 4097))}, pb.ErrorCode_ERROR_CODE_TOO_LARGE},
		"large value":     {[]*kvorumv1.Operation{put("k", big+"v")}, pb.ErrorCode_ERROR_CODE_TOO_LARGE},
		"large message":   {[]*kvorumv1.Operation{put("a", big), put("b", big), put("c", big), put("d", big)}, pb.ErrorCode_ERROR_CODE_TOO_LARGE},
		"largest message": {[]*kvorumv1.Operation{put("k", big)}, 0},
		"longest key":     {[]*kvorumv1.Operation{put(strings.Repeat("k", 4096), "")}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, result := range b.ask(t, c.operations...) {
				if c.code != 0 {
					expectCode(t, result, c.code)
				} else if result.GetError() != nil {
					t.Fatal(result)
				}
			}
		})
	}
}

func TestAFullBudgetIsOverloadedAndIsGivenBack(t *testing.T) {
	budget := replica.NewBudget(5700)
	b := start(t, func(o *Options) { o.Budget = budget })
	b.node.set("k", strings.Repeat("v", 1000))
	expectCode(t, b.ask(t, put("k", strings.Repeat("v", 6000)))[0], pb.ErrorCode_ERROR_CODE_OVERLOADED)
	results := b.ask(t, get("k"), get("k"), get("k"))
	if results[0].GetGet() == nil {
		t.Fatalf("got %v", results[0])
	}
	expectCode(t, results[2], pb.ErrorCode_ERROR_CODE_OVERLOADED)
	if results[2].GetError().RetryAfterMs == 0 {
		t.Fatal("no advice when to come again")
	}
	if budget.Free() != 5700 {
		t.Fatalf("%d bytes are free", budget.Free())
	}
}

func TestAnAnswerStaysBelowTheMessageLimit(t *testing.T) {
	b := start(t, nil)
	b.node.set("k", strings.Repeat("v", 1<<20))
	var operations []*kvorumv1.Operation
	for range 6 {
		operations = append(operations, get("k"))
	}
	found := 0
	for _, result := range b.ask(t, operations...) {
		if result.GetGet() != nil {
			found++
		} else {
			expectCode(t, result, pb.ErrorCode_ERROR_CODE_OVERLOADED)
		}
	}
	if found != 3 {
		t.Fatalf("%d values of 1 MiB in one answer", found)
	}
}

func TestAReadThatIsNotConfirmedIsNotAnswered(t *testing.T) {
	b := start(t, nil)
	b.node.set("k", "stale")
	b.node.confirm = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "deposed")
	results := b.ask(t, get("k"), put("k", "v"))
	expectCode(t, results[0], pb.ErrorCode_ERROR_CODE_NOT_LEADER)
	if results[1].GetPut() == nil {
		t.Fatalf("got %v", results[1])
	}
}

func TestANodeThatIsNotOpenRefuses(t *testing.T) {
	b := start(t, nil)
	b.node.refused = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "seeding")
	expectCode(t, b.ask(t, get("k"))[0], pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
}

func TestALaneIsNotReadFromBeyondItsSlots(t *testing.T) {
	b := start(t, func(o *Options) { o.Limits.MaxLaneMessages = 3 })
	var begun atomic.Int32
	three, release := make(chan struct{}), make(chan struct{})
	b.node.gate = func(string) {
		if begun.Add(1) == 3 {
			close(three)
		}
		<-release
	}
	lane := b.lane(t)
	for id := range uint64(10) {
		if err := lane.Send(&kvorumv1.BatchRequest{Id: id, Operations: []*kvorumv1.Operation{put("k", "")}}); err != nil {
			t.Fatal(err)
		}
	}
	<-three
	if got := begun.Load(); got != 3 {
		t.Fatalf("%d messages are worked on at once", got)
	}
	close(release)
	for range 10 {
		if _, err := lane.Recv(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAClientThatDoesNotReadLosesItsStreamAndNothingStaysHeld(t *testing.T) {
	manual := clocktest.New()
	budget := replica.NewBudget(64 << 20)
	b := start(t, func(o *Options) { o.Clock, o.Budget = manual, budget })
	b.node.set("k", strings.Repeat("v", 1<<20))
	lane := b.lane(t)
	for id := range uint64(4) {
		if err := lane.Send(&kvorumv1.BatchRequest{Id: id, Operations: []*kvorumv1.Operation{get("k"), get("k")}}); err != nil {
			t.Fatal(err)
		}
	}
	manual.AwaitTimers(1) // an answer is being sent, and does not fit the client's window
	manual.Advance(DefaultLimits().SendTimeout)
	var err error
	for err == nil {
		_, err = lane.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("the stream ended with %v", err)
	}
	b.server.busy.wait(b.ctx)
	if budget.Free() != 64<<20 {
		t.Fatalf("%d bytes stay held", 64<<20-budget.Free())
	}
}

func TestStopEndsLanes(t *testing.T) {
	b := start(t, nil)
	lane := b.lane(t)
	if err := lane.Send(&kvorumv1.BatchRequest{Id: 1, Operations: []*kvorumv1.Operation{put("k", "")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := lane.Recv(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	b.server.Linger(b.ctx)
	if time.Since(begin) < lingerTime {
		t.Fatal("clients got no time to turn elsewhere")
	}
	b.server.Stop()
	if _, err := lane.Recv(); err == nil || err == io.EOF {
		t.Fatalf("the stream ended with %v", err)
	}
}

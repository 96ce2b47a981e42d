package server

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"kvorum/node/fsm"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/replica"
)

func swap(key string, expected, value []byte) *kvorumv1.Operation {
	request := &kvorumv1.CompareAndSetRequest{Key: []byte(key), Expected: expected, Value: value}
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_CompareAndSet{CompareAndSet: request}}
}

func increment(key string, by int64) *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Increment{Increment: &kvorumv1.IncrementRequest{Key: []byte(key), By: by}}}
}

func exchange(key string) *kvorumv1.Operation {
	op := put(key, "v")
	op.GetPut().ReturnPrevious = proto.Bool(true)
	return op
}

func asked(t *testing.T, b *bench, operations ...*kvorumv1.Operation) []*kvorumv1.Result {
	t.Helper()
	lane := b.lane(t)
	if err := lane.Send(&kvorumv1.BatchRequest{Id: 1, Operations: operations}); err != nil {
		t.Fatal(err)
	}
	response, err := lane.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return response.Results
}

func TestConditionsAndSumsAreProposedAndAnswered(t *testing.T) {
	b := start(t, nil)
	take := remove("k")
	take.GetDelete().ReturnPrevious = proto.Bool(true)
	results := asked(t, b, swap("k", nil, []byte("v")), swap("k", []byte{}, []byte("w")), increment("n", -5), exchange("k"), take, put("k", "v"))
	if results[0].GetCompareAndSet().GetVersion() != 3 || results[1].GetCompareAndSet().GetVersion() != 3 {
		t.Errorf("compare-and-set answered %v %v", results[0], results[1])
	}
	if got := results[2].GetIncrement(); got.GetValue() != -5 || got.GetVersion() != 4 {
		t.Errorf("increment answered %v", got)
	}
	if got := results[3].GetPut().GetPrevious(); got.GetVersion() != 7 || len(got.GetValue()) != fsm.PreviousBytesMax {
		t.Errorf("put answered %v", got)
	}
	if got := results[4].GetDelete(); !got.GetExisted() || string(got.GetPrevious().GetValue()) != "was" || got.GetPrevious().GetVersion() != 9 {
		t.Errorf("delete answered %v", got)
	}
	if results[5].GetPut().GetPrevious() != nil {
		t.Errorf("a plain put answered %v", results[5])
	}
	writes := b.node.batches[0].Writes
	if absent, empty := writes[0].GetCompareAndSet(), writes[1].GetCompareAndSet(); absent.Expected != nil || empty.Expected == nil {
		t.Errorf("absent and empty are not told apart: %v %v", absent, empty)
	}
	if writes[2].GetIncrement().By != -5 || !writes[3].GetPut().ReturnPrevious || !writes[4].GetDelete().ReturnPrevious || writes[5].GetPut().ReturnPrevious {
		t.Errorf("proposed %v", writes)
	}
}

func TestLimitsOfConditionsAndSums(t *testing.T) {
	b := start(t, nil)
	long, half := string(make([]byte, 4097)), make([]byte, DefaultLimits().MaxValueBytes/2)
	results := asked(t, b, swap("k", half, half), swap("k", half, append(half, 0)), swap(long, nil, nil), increment(long, 1), increment("", 1))
	if results[0].GetCompareAndSet() == nil {
		t.Errorf("two halves: %v", results[0])
	}
	for i, want := range map[int]pb.ErrorCode{
		1: pb.ErrorCode_ERROR_CODE_TOO_LARGE, 2: pb.ErrorCode_ERROR_CODE_TOO_LARGE, 3: pb.ErrorCode_ERROR_CODE_TOO_LARGE,
		4: pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
	} {
		expectCode(t, results[i], want)
	}
}

// A write cannot be refused for its answer once it is applied: the room is found before.
func TestWhatHasNoRoomInTheAnswerIsNotProposed(t *testing.T) {
	for name, limit := range map[string]func(*Options){
		"the message": func(o *Options) { o.Limits.MaxMessageBytes = answerSlack + 3*(fsm.PreviousBytesMax+operationOverhead) },
		"the budget":  func(o *Options) { o.Budget = replica.NewBudget(6 * fsm.PreviousBytesMax) },
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, limit)
			results := asked(t, b, exchange("1"), exchange("2"), exchange("3"), exchange("4"), exchange("5"), put("6", "v"))
			applied := 0
			for i, result := range results[:5] {
				if result.GetPut() == nil {
					expectCode(t, result, pb.ErrorCode_ERROR_CODE_OVERLOADED)
				} else if applied++; applied != i+1 {
					t.Errorf("write %d was answered, and one before it refused", i)
				}
			}
			if applied == 0 || applied == 5 || results[5].GetPut() == nil || len(b.node.batches[0].Writes) != applied+1 {
				t.Fatalf("%d of 5 applied, proposed %v", applied, b.node.batches)
			}
		})
	}
}

package server

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"kvorum/node/fsm"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
)

type (
	txnRequest   = kvorumv1.TransactionRequest
	txnOperation = kvorumv1.TransactionOperation
)

const atLeast = kvorumv1.Condition_COMPARISON_GREATER

func inTransaction(op *kvorumv1.Operation) *txnOperation {
	switch kind := op.Kind.(type) {
	case *kvorumv1.Operation_Get:
		return &txnOperation{Kind: &kvorumv1.TransactionOperation_Get{Get: kind.Get}}
	case *kvorumv1.Operation_Put:
		return &txnOperation{Kind: &kvorumv1.TransactionOperation_Put{Put: kind.Put}}
	case *kvorumv1.Operation_Delete:
		return &txnOperation{Kind: &kvorumv1.TransactionOperation_Delete{Delete: kind.Delete}}
	case *kvorumv1.Operation_Append:
		return &txnOperation{Kind: &kvorumv1.TransactionOperation_Append{Append: kind.Append}}
	default:
		return &txnOperation{Kind: &kvorumv1.TransactionOperation_Increment{Increment: op.GetIncrement()}}
	}
}

func then(operations ...*kvorumv1.Operation) *txnRequest {
	request := &txnRequest{}
	for _, op := range operations {
		request.Then = append(request.Then, inTransaction(op))
	}
	return request
}

func transaction(request *txnRequest) *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Transaction{Transaction: request}}
}

func TestATransactionIsProposedAndAnswered(t *testing.T) {
	b := start(t, nil)
	appended := &kvorumv1.Operation{Kind: &kvorumv1.Operation_Append{Append: &kvorumv1.AppendRequest{Key: []byte("{a}k"), Value: []byte("v")}}}
	request := then(put("{a}k", "v"), remove("{a}k"), appended, increment("{a}n", -5), get("{a}k"), get("{a}none"))
	request.Otherwise = then(get("{a}k")).Then
	request.Conditions = []*kvorumv1.Condition{
		{Key: []byte("{a}k"), Comparison: atLeast, Operand: &kvorumv1.Condition_Version{Version: 3}},
		{Key: []byte("{a}k"), Comparison: 2, Operand: &kvorumv1.Condition_Value{Value: []byte("w")}},
		{Key: []byte("{a}k"), Comparison: 1, Operand: &kvorumv1.Condition_Exists{Exists: true}},
	}
	b.node.transaction = fsm.Result{Kind: fsm.KindTransaction, Transaction: &fsm.TransactionResult{Succeeded: true, Results: []fsm.Result{
		{Kind: fsm.KindPut, Version: 1}, {Kind: fsm.KindDelete, Existed: true}, {Kind: fsm.KindAppend, Version: 2, Length: 3},
		{Kind: fsm.KindIncrement, Version: 4, Value: -5}, {Kind: fsm.KindGet, Previous: &fsm.Previous{Version: 6, Value: []byte("v")}, Left: proto.Uint64(0)}, {Kind: fsm.KindGet},
	}}}
	want := `succeeded:true results:{put:{version:1}} results:{delete:{existed:true}} results:{append:{version:2 length:3}} ` +
		`results:{increment:{value:-5 version:4}} results:{get:{found:true value:"v" version:6 ttl_ms:0}} results:{get:{}}`
	got := asked(t, b, transaction(request))[0].GetTransaction()
	if words := strings.Join(strings.Fields(got.String()), " "); words != want {
		t.Errorf("answered %s", words)
	}
	unary, err := b.kv.Transaction(b.ctx, request)
	if err != nil || !proto.Equal(unary, got) {
		t.Errorf("the unary call answered %v %v", unary, err)
	}
	proposed := b.node.batches[0].Writes[0].GetTransaction()
	want = `conditions:{key:"{a}k" comparison:COMPARISON_GREATER version:3} conditions:{key:"{a}k" comparison:COMPARISON_NOT_EQUAL value:"w"} ` +
		`conditions:{key:"{a}k" comparison:COMPARISON_EQUAL exists:true} then:{put:{key:"{a}k" value:"v"}} then:{delete:{key:"{a}k"}} ` +
		`then:{append:{key:"{a}k" value:"v" limit:1048576}} then:{increment:{key:"{a}n" by:-5}} then:{get:{key:"{a}k"}} then:{get:{key:"{a}none"}} otherwise:{get:{key:"{a}k"}}`
	if words := strings.Join(strings.Fields(proposed.String()), " "); words != want {
		t.Errorf("proposed %s", words)
	}
}

func TestWhatIsNoTransactionIsNotProposed(t *testing.T) {
	b := start(t, nil)
	stale, exchanged, taken := get("k"), put("k", "v"), remove("k")
	stale.GetGet().StaleMs, exchanged.GetPut().ReturnPrevious, taken.GetDelete().ReturnPrevious = proto.Uint32(1), proto.Bool(true), proto.Bool(true)
	large := string(make([]byte, DefaultLimits().MaxValueBytes+1))
	invalid, tooLarge := pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, pb.ErrorCode_ERROR_CODE_TOO_LARGE
	for name, c := range map[string]struct {
		request *txnRequest
		code    pb.ErrorCode
	}{
		"nothing":               {&txnRequest{}, invalid},
		"an empty key":          {then(put("", "v")), invalid},
		"a stale get":           {then(stale), invalid},
		"a previous value":      {then(exchanged), invalid},
		"one of a delete":       {then(taken), invalid},
		"too large a value":     {then(put("k", large)), tooLarge},
		"too much in all":       {then(put("k", large[:fsm.TransactionBytesMax])), tooLarge},
		"two partitions":        {then(put("a", "v"), put("b", "v")), pb.ErrorCode_ERROR_CODE_CROSS_SHARD},
		"an unknown operation":  {&txnRequest{Then: []*txnOperation{{}}}, pb.ErrorCode_ERROR_CODE_UNSUPPORTED},
		"an unknown comparison": {&txnRequest{Conditions: []*kvorumv1.Condition{{Key: []byte("k"), Comparison: 9, Operand: &kvorumv1.Condition_Exists{}}}}, invalid},
		"no operand":            {&txnRequest{Conditions: []*kvorumv1.Condition{{Key: []byte("k"), Comparison: 1}}}, invalid},
	} {
		t.Run(name, func(t *testing.T) { expectCode(t, asked(t, b, transaction(c.request))[0], c.code) })
	}
	if len(b.node.batches) > 0 {
		t.Fatalf("proposed %v", b.node.batches)
	}
}

// Its parts are decoded before they are counted, so they weigh before.
func TestATransactionWeighsWhatItHolds(t *testing.T) {
	request := then(put("k", "v"), get("k"))
	request.Conditions, request.Otherwise = []*kvorumv1.Condition{{}}, request.Then[:1]
	hidden := transaction(request)
	said, err := frameOf(t, &kvorumv1.BatchRequest{Operations: []*kvorumv1.Operation{put("a", "v"), hidden}}).outline()
	if err != nil || said.parts != 4 || said.writes != 2 || said.operations != 2 {
		t.Fatalf("%+v %v", said, err)
	}
	if said.weight() != int64(said.size+6*operationOverhead) {
		t.Fatalf("it weighs %d", said.weight())
	}
	// Behind a get, which decoding forgets.
	data, err := proto.Marshal(get("k"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := proto.Marshal(hidden)
	if err != nil {
		t.Fatal(err)
	}
	both := append([]byte{byte(len(data) + len(more))}, append(data, more...)...)
	if _, parts := lookInto(both); parts != 4 {
		t.Fatalf("%d parts were found", parts)
	}
}

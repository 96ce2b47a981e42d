package main

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"kvorum/node/fsm"
	errpb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
)

// What format 3 of commands got after conditions: transactions and times to live. Their answers are kept like any other.

const hourMs = 3_600_000

func transactionsOf() []*kvorumv1.Operation {
	all := []*kvorumv1.TransactionOperation{
		{Kind: &kvorumv1.TransactionOperation_Put{Put: mortal("{t}a", hourMs)}},
		{Kind: &kvorumv1.TransactionOperation_Increment{Increment: &kvorumv1.IncrementRequest{Key: []byte("{t}n"), By: 5}}},
		{Kind: &kvorumv1.TransactionOperation_Append{Append: &kvorumv1.AppendRequest{Key: []byte("{t}log"), Value: []byte("x")}}},
		{Kind: &kvorumv1.TransactionOperation_Get{Get: &kvorumv1.GetRequest{Key: []byte("{t}a")}}},
		{Kind: &kvorumv1.TransactionOperation_Delete{Delete: &kvorumv1.DeleteRequest{Key: []byte("{t}log")}}},
	}
	absent := &kvorumv1.Condition{
		Key: []byte("{t}a"), Comparison: kvorumv1.Condition_COMPARISON_EQUAL, Operand: &kvorumv1.Condition_Exists{Exists: false},
	}
	count := []*kvorumv1.TransactionOperation{{Kind: &kvorumv1.TransactionOperation_Get{Get: &kvorumv1.GetRequest{Key: []byte("{t}n")}}}}
	broken := []*kvorumv1.TransactionOperation{
		{Kind: &kvorumv1.TransactionOperation_Put{Put: &kvorumv1.PutRequest{Key: []byte("{t}undone"), Value: []byte("v")}}},
		{Kind: &kvorumv1.TransactionOperation_Increment{Increment: &kvorumv1.IncrementRequest{Key: []byte("{t}a"), By: 1}}},
	}
	var list []*kvorumv1.Operation
	for _, request := range []*kvorumv1.TransactionRequest{
		{Conditions: []*kvorumv1.Condition{absent}, Then: all, Otherwise: count},
		{Conditions: []*kvorumv1.Condition{absent}, Then: all, Otherwise: count},
		{Then: broken},
	} {
		list = append(list, &kvorumv1.Operation{Kind: &kvorumv1.Operation_Transaction{Transaction: request}})
	}
	return append(list, touch("{t}n", hourMs), touch("{t}none", hourMs))
}

func mortal(key string, ttlMs uint64) *kvorumv1.PutRequest {
	return &kvorumv1.PutRequest{Key: []byte(key), Value: []byte("v"), TtlMs: &ttlMs}
}

func touch(key string, ttlMs uint64) *kvorumv1.Operation {
	request := &kvorumv1.TouchRequest{Key: []byte(key)}
	if ttlMs > 0 {
		request.TtlMs = &ttlMs
	}
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Touch{Touch: request}}
}

func rememberTransactions(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	remember(t, ctx, p, "session of transactions", transactionsOf())
}

func mustRememberTransactions(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	got := &kvorumv1.GetResponse{Found: true, Value: []byte("v"), TtlMs: proto.Uint64(hourMs)}
	carriedOut := &kvorumv1.TransactionResponse{Succeeded: true, Results: []*kvorumv1.TransactionResult{
		{Kind: &kvorumv1.TransactionResult_Put{Put: &kvorumv1.PutResponse{}}},
		{Kind: &kvorumv1.TransactionResult_Increment{Increment: &kvorumv1.IncrementResponse{Value: 5}}},
		{Kind: &kvorumv1.TransactionResult_Append{Append: &kvorumv1.AppendResponse{Length: 1}}},
		{Kind: &kvorumv1.TransactionResult_Get{Get: got}},
		{Kind: &kvorumv1.TransactionResult_Delete{Delete: &kvorumv1.DeleteResponse{Existed: true}}},
	}}
	otherwise := &kvorumv1.TransactionResponse{Results: []*kvorumv1.TransactionResult{
		{Kind: &kvorumv1.TransactionResult_Get{Get: &kvorumv1.GetResponse{Found: true, Value: []byte("5")}}},
	}}
	mustAnswer(t, ctx, p, "session of transactions", transactionsOf(), []*kvorumv1.Result{
		{Kind: &kvorumv1.Result_Transaction{Transaction: carriedOut}},
		{Kind: &kvorumv1.Result_Transaction{Transaction: otherwise}},
		refused(errpb.ErrorCode_ERROR_CODE_NOT_A_NUMBER),
		{Kind: &kvorumv1.Result_Touch{Touch: &kvorumv1.TouchResponse{Existed: true}}},
		{Kind: &kvorumv1.Result_Touch{Touch: &kvorumv1.TouchResponse{}}},
	})
	for key, want := range map[string]bool{"{t}a": true, "{t}n": true, "{t}log": false, "{t}undone": false} {
		if got := mustGet(t, ctx, p, []byte(key)); got.Found != want || got.Found != (got.TtlMs != nil) {
			t.Errorf("%s: %v", key, got)
		}
	}
}

// leaveMortals writes keys whose times are over soon, late, and never again.
func leaveMortals(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	for _, request := range []*kvorumv1.PutRequest{mortal("due", 1), mortal("mortal", hourMs), mortal("immortal", hourMs)} {
		if _, err := p.kv.Put(ctx, request); err != nil {
			t.Fatal(err)
		}
	}
	mustPut(t, ctx, p, []byte("stretched"), []byte("v"))
	ask(t, ctx, p, nil, touch("immortal", 0))
	ask(t, ctx, p, nil, touch("stretched", fsm.TTLMsMax))
}

func mustHoldMortals(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	for mustGet(t, ctx, p, []byte("due")).Found {
		// Its time was over when the node that wrote it was killed, or is soon.
	}
	for key, want := range map[string]uint64{"mortal": hourMs, "immortal": 0, "stretched": fsm.TTLMsMax} {
		got := mustGet(t, ctx, p, []byte(key))
		// Time without a leader does not count, and none of these nodes leads for so long.
		if left := got.GetTtlMs(); !got.Found || (got.TtlMs == nil) != (want == 0) || left > want || left+hourMs/2 < want {
			t.Errorf("%s: %v, had %d ms to live when it was written", key, got, want)
		}
	}
}

func withoutVersionsOf(one *kvorumv1.TransactionResult) {
	switch kind := one.Kind.(type) {
	case *kvorumv1.TransactionResult_Put:
		kind.Put.Version = 0
	case *kvorumv1.TransactionResult_Get:
		kind.Get.Version = 0
	case *kvorumv1.TransactionResult_Append:
		kind.Append.Version = 0
	case *kvorumv1.TransactionResult_Increment:
		kind.Increment.Version = 0
	}
}

package main

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	errpb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
)

// What came with format 3 of commands: conditions on values, sums, previous values. They are written in a session whose id is
// under the key `session`, so that whoever opens the directory can send them again: it must find the first answers.

func conditionsOf() []*kvorumv1.Operation {
	exchange := &kvorumv1.PutRequest{Key: []byte("exchanged"), Value: []byte("new"), ReturnPrevious: proto.Bool(true)}
	take := &kvorumv1.DeleteRequest{Key: []byte("taken"), ReturnPrevious: proto.Bool(true)}
	return []*kvorumv1.Operation{
		sum("counter", 5), sum("counter", -8), swap("swapped", nil, "a"), swap("swapped", []byte("a"), "b"), swap("swapped", []byte("a"), "c"),
		{Kind: &kvorumv1.Operation_Put{Put: &kvorumv1.PutRequest{Key: []byte("exchanged"), Value: []byte("old")}}},
		{Kind: &kvorumv1.Operation_Put{Put: exchange}},
		{Kind: &kvorumv1.Operation_Put{Put: &kvorumv1.PutRequest{Key: []byte("taken"), Value: []byte("text")}}},
		sum("taken", 1), {Kind: &kvorumv1.Operation_Delete{Delete: take}},
	}
}

func sum(key string, by int64) *kvorumv1.Operation {
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_Increment{Increment: &kvorumv1.IncrementRequest{Key: []byte(key), By: by}}}
}

func swap(key string, expected []byte, value string) *kvorumv1.Operation {
	request := &kvorumv1.CompareAndSetRequest{Key: []byte(key), Expected: expected, Value: []byte(value)}
	return &kvorumv1.Operation{Kind: &kvorumv1.Operation_CompareAndSet{CompareAndSet: request}}
}

func rememberConditions(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	remember(t, ctx, p, "session", conditionsOf())
}

// remember writes in a session whose id is under this key.
func remember(t *testing.T, ctx context.Context, p *process, session string, ops []*kvorumv1.Operation) {
	t.Helper()
	open := &kvorumv1.OpenSessionRequest{Key: []byte(session), Nonce: 3, ExpiryMs: 86_400_000}
	id := ask(t, ctx, p, nil, &kvorumv1.Operation{Kind: &kvorumv1.Operation_OpenSession{OpenSession: open}}).GetOpenSession().GetId()
	mustPut(t, ctx, p, []byte(session), id)
	for i, op := range ops {
		op.Session, op.Sequence = 1, uint64(i+1)
		ask(t, ctx, p, &kvorumv1.Session{Id: id, Floor: 1}, op)
	}
}

// mustAnswer sends them once more.
func mustAnswer(t *testing.T, ctx context.Context, p *process, session string, ops []*kvorumv1.Operation, first []*kvorumv1.Result) {
	t.Helper()
	id := mustGet(t, ctx, p, []byte(session)).Value
	for i, op := range ops {
		op.Session, op.Sequence = 1, uint64(i+1)
		if got := withoutVersions(ask(t, ctx, p, &kvorumv1.Session{Id: id, Floor: 1}, op)); !proto.Equal(got, first[i]) {
			t.Errorf("write %d of %q is answered with %v, first with %v", i+1, session, got, first[i])
		}
	}
}

// mustRemember sends everything once more.
func mustRemember(t *testing.T, ctx context.Context, p *process) {
	t.Helper()
	mustAnswer(t, ctx, p, "session", conditionsOf(), []*kvorumv1.Result{
		{Kind: &kvorumv1.Result_Increment{Increment: &kvorumv1.IncrementResponse{Value: 5}}},
		{Kind: &kvorumv1.Result_Increment{Increment: &kvorumv1.IncrementResponse{Value: -3}}},
		{Kind: &kvorumv1.Result_CompareAndSet{CompareAndSet: &kvorumv1.CompareAndSetResponse{}}},
		{Kind: &kvorumv1.Result_CompareAndSet{CompareAndSet: &kvorumv1.CompareAndSetResponse{}}},
		refused(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED),
		{Kind: &kvorumv1.Result_Put{Put: &kvorumv1.PutResponse{}}},
		{Kind: &kvorumv1.Result_Put{Put: &kvorumv1.PutResponse{Previous: &kvorumv1.Previous{Value: []byte("old")}}}},
		{Kind: &kvorumv1.Result_Put{Put: &kvorumv1.PutResponse{}}},
		refused(errpb.ErrorCode_ERROR_CODE_NOT_A_NUMBER),
		{Kind: &kvorumv1.Result_Delete{Delete: &kvorumv1.DeleteResponse{Existed: true, Previous: &kvorumv1.Previous{Value: []byte("text")}}}},
	})
	for key, want := range map[string]string{"counter": "-3", "swapped": "b", "exchanged": "new", "taken": ""} {
		if got := mustGet(t, ctx, p, []byte(key)); string(got.Value) != want || got.Found != (want != "") {
			t.Errorf("%s: %v, want %q", key, got, want)
		}
	}
}

func refused(code errpb.ErrorCode) *kvorumv1.Result {
	return &kvorumv1.Result{Kind: &kvorumv1.Result_Error{Error: &errpb.Error{Code: code, Outcome: errpb.Outcome_OUTCOME_NOT_APPLIED}}}
}

// withoutVersions leaves out what depends on the other keys of a partition, and what is for people.
func withoutVersions(result *kvorumv1.Result) *kvorumv1.Result {
	switch kind := result.Kind.(type) {
	case *kvorumv1.Result_Increment:
		kind.Increment.Version = 0
	case *kvorumv1.Result_CompareAndSet:
		kind.CompareAndSet.Version = 0
	case *kvorumv1.Result_Put:
		kind.Put.Version = 0
		if kind.Put.Previous != nil {
			kind.Put.Previous.Version = 0
		}
	case *kvorumv1.Result_Delete:
		if kind.Delete.Previous != nil {
			kind.Delete.Previous.Version = 0
		}
	case *kvorumv1.Result_Transaction:
		for _, one := range kind.Transaction.Results {
			withoutVersionsOf(one)
		}
	case *kvorumv1.Result_Error:
		return refused(kind.Error.Code)
	}
	return result
}

func ask(t *testing.T, ctx context.Context, p *process, session *kvorumv1.Session, op *kvorumv1.Operation) *kvorumv1.Result {
	t.Helper()
	stream, err := p.kv.Batch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	request := &kvorumv1.BatchRequest{Id: 1, Operations: []*kvorumv1.Operation{op}}
	if session != nil {
		request.Sessions = []*kvorumv1.Session{session}
	}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	response, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	return response.Results[0]
}

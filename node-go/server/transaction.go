package server

import (
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	"kvorum/node/kverr"
)

// checkTransaction refuses here what the state machine would refuse, so that it costs no entry, and what it could not even read.
func (l Limits) checkTransaction(t *kvorumv1.TransactionRequest) *kverr.Error {
	for _, branch := range [][]*kvorumv1.TransactionOperation{t.Then, t.Otherwise} {
		for _, op := range branch {
			if err := l.checkTransactionOperation(op); err != nil {
				return err
			}
		}
	}
	inEntry := l.toTransaction(t)
	for _, c := range inEntry.Conditions {
		if !fsmcommand.KnownCondition(c) {
			return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
				"a condition compares a version, or is about a value or existence and EQUAL or NOT_EQUAL")
		}
		if err := l.checkWrite(c.Key, c.GetValue()); err != nil {
			return err
		}
	}
	return fsm.CheckTransaction(inEntry)
}

func (l Limits) checkTransactionOperation(op *kvorumv1.TransactionOperation) *kverr.Error {
	switch kind := op.Kind.(type) {
	case *kvorumv1.TransactionOperation_Get:
		if kind.Get.GetStaleMs() > 0 {
			return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a get in a transaction is of its moment: stale_ms is for others")
		}
		return l.checkKey(kind.Get.Key)
	case *kvorumv1.TransactionOperation_Put:
		if kind.Put.GetReturnPrevious() {
			return noPrevious()
		}
		return l.checkPut(kind.Put)
	case *kvorumv1.TransactionOperation_Delete:
		if kind.Delete.GetReturnPrevious() {
			return noPrevious()
		}
		return l.checkKey(kind.Delete.Key)
	case *kvorumv1.TransactionOperation_Append:
		return l.checkWrite(kind.Append.Key, kind.Append.Value)
	case *kvorumv1.TransactionOperation_Increment:
		return l.checkKey(kind.Increment.Key)
	default:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNSUPPORTED, "this node does not know an operation of the transaction: upgrade it")
	}
}

func noPrevious() *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a transaction gives no previous value: put a get before the operation")
}

// toTransaction is the transaction as an entry holds it. What checkTransaction refuses need not come out of it whole.
func (l Limits) toTransaction(t *kvorumv1.TransactionRequest) *command.Transaction {
	conditions := make([]*command.Condition, len(t.Conditions))
	for i, c := range t.Conditions {
		conditions[i] = &command.Condition{Key: c.Key, Comparison: command.Condition_Comparison(c.Comparison)}
		switch operand := c.Operand.(type) {
		case *kvorumv1.Condition_Version:
			conditions[i].Operand = &command.Condition_Version{Version: operand.Version}
		case *kvorumv1.Condition_Value:
			conditions[i].Operand = &command.Condition_Value{Value: operand.Value}
		case *kvorumv1.Condition_Exists:
			conditions[i].Operand = &command.Condition_Exists{Exists: operand.Exists}
		}
	}
	return &command.Transaction{Conditions: conditions, Then: l.toTransactionOperations(t.Then), Otherwise: l.toTransactionOperations(t.Otherwise)}
}

func (l Limits) toTransactionOperations(list []*kvorumv1.TransactionOperation) []*command.TransactionOperation {
	to := make([]*command.TransactionOperation, len(list))
	for i, op := range list {
		to[i] = &command.TransactionOperation{}
		switch kind := op.Kind.(type) {
		case *kvorumv1.TransactionOperation_Get:
			to[i].Kind = &command.TransactionOperation_Get{Get: &command.Get{Key: kind.Get.Key}}
		case *kvorumv1.TransactionOperation_Put:
			to[i].Kind = &command.TransactionOperation_Put{Put: l.toPut(kind.Put)}
		case *kvorumv1.TransactionOperation_Delete:
			to[i].Kind = &command.TransactionOperation_Delete{Delete: toDelete(kind.Delete)}
		case *kvorumv1.TransactionOperation_Append:
			to[i].Kind = &command.TransactionOperation_Append{Append: l.toAppend(kind.Append)}
		case *kvorumv1.TransactionOperation_Increment:
			to[i].Kind = &command.TransactionOperation_Increment{Increment: &command.Increment{Key: kind.Increment.Key, By: kind.Increment.By}}
		}
	}
	return to
}

func toTransactionResponse(t *fsm.TransactionResult) *kvorumv1.TransactionResponse {
	answer := &kvorumv1.TransactionResponse{Succeeded: t.Succeeded, Results: make([]*kvorumv1.TransactionResult, len(t.Results))}
	for i := range t.Results {
		answer.Results[i] = toTransactionResult(&t.Results[i])
	}
	return answer
}

func toTransactionResult(r *fsm.Result) *kvorumv1.TransactionResult {
	switch r.Kind {
	case fsm.KindPut:
		return &kvorumv1.TransactionResult{Kind: &kvorumv1.TransactionResult_Put{Put: &kvorumv1.PutResponse{Version: r.Version}}}
	case fsm.KindDelete:
		return &kvorumv1.TransactionResult{Kind: &kvorumv1.TransactionResult_Delete{Delete: &kvorumv1.DeleteResponse{Existed: r.Existed}}}
	case fsm.KindAppend:
		answer := &kvorumv1.AppendResponse{Version: r.Version, Length: r.Length}
		return &kvorumv1.TransactionResult{Kind: &kvorumv1.TransactionResult_Append{Append: answer}}
	case fsm.KindIncrement:
		answer := &kvorumv1.IncrementResponse{Value: r.Value, Version: r.Version}
		return &kvorumv1.TransactionResult{Kind: &kvorumv1.TransactionResult_Increment{Increment: answer}}
	default:
		answer := &kvorumv1.GetResponse{Found: r.Previous != nil}
		if r.Previous != nil {
			answer.Value, answer.Version = r.Previous.Value, r.Previous.Version
			answer.TtlMs = r.Left
		}
		return &kvorumv1.TransactionResult{Kind: &kvorumv1.TransactionResult_Get{Get: answer}}
	}
}

// returned is what the values that a write gives back may add to the answer.
func returned(op *kvorumv1.Operation) int {
	t := op.GetTransaction()
	if op.GetPut().GetReturnPrevious() || op.GetMortalPut().GetReturnPrevious() || op.GetDelete().GetReturnPrevious() {
		return fsm.PreviousBytesMax + operationOverhead
	}
	if t == nil {
		return 0
	}
	bytes := operationOverhead * max(len(t.Then), len(t.Otherwise))
	for _, branch := range [][]*kvorumv1.TransactionOperation{t.Then, t.Otherwise} {
		for _, op := range branch {
			if op.GetGet() != nil {
				return bytes + fsm.PreviousBytesMax
			}
		}
	}
	return bytes
}

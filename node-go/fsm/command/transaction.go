package command

import (
	"iter"

	pb "kvorum/node/gen/command"
)

// Keys are those that a transaction names: of its conditions, of `then`, of `otherwise`.
func Keys(t *pb.Transaction) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, c := range t.GetConditions() {
			if !yield(c.GetKey()) {
				return
			}
		}
		for _, branch := range [][]*pb.TransactionOperation{t.GetThen(), t.GetOtherwise()} {
			for _, op := range branch {
				if !yield(KeyOf(op)) {
					return
				}
			}
		}
	}
}

// FirstKey is one whose partition is that of all others; nil of a transaction without keys.
func FirstKey(t *pb.Transaction) []byte {
	for key := range Keys(t) {
		return key
	}
	return nil
}

// KeyOf is the key of an operation.
func KeyOf(op *pb.TransactionOperation) []byte {
	switch kind := op.GetKind().(type) {
	case *pb.TransactionOperation_Get:
		return kind.Get.GetKey()
	case *pb.TransactionOperation_Put:
		return kind.Put.GetKey()
	case *pb.TransactionOperation_Delete:
		return kind.Delete.GetKey()
	case *pb.TransactionOperation_Append:
		return kind.Append.GetKey()
	default:
		return op.GetIncrement().GetKey()
	}
}

// KnownCondition says whether a comparison is one that its operand knows.
func KnownCondition(c *pb.Condition) bool {
	switch c.GetOperand().(type) {
	case *pb.Condition_Version:
		return c.GetComparison() >= pb.Condition_COMPARISON_EQUAL && c.GetComparison() <= pb.Condition_COMPARISON_GREATER
	case *pb.Condition_Value, *pb.Condition_Exists:
		return c.GetComparison() == pb.Condition_COMPARISON_EQUAL || c.GetComparison() == pb.Condition_COMPARISON_NOT_EQUAL
	default:
		return false
	}
}

func unsupportedTransaction(t *pb.Transaction) string {
	if alien(t) {
		return "transaction with unknown fields"
	}
	for _, c := range t.GetConditions() {
		if alien(c) || !KnownCondition(c) {
			return "unknown condition"
		}
	}
	for _, branch := range [][]*pb.TransactionOperation{t.GetThen(), t.GetOtherwise()} {
		for _, op := range branch {
			if reason := unsupportedOperation(op); reason != "" {
				return reason
			}
		}
	}
	return ""
}

func unsupportedOperation(op *pb.TransactionOperation) string {
	if alien(op) {
		return "operation with unknown fields"
	}
	switch kind := op.GetKind().(type) {
	case *pb.TransactionOperation_Get:
		return unlessAlien(kind.Get, "get with unknown fields")
	case *pb.TransactionOperation_Put:
		if kind.Put.GetReturnPrevious() {
			return "previous value in a transaction"
		}
		if reason := unsupportedLease(kind.Put); reason != "" {
			return reason
		}
		return unlessAlien(kind.Put, "put with unknown fields")
	case *pb.TransactionOperation_Delete:
		if kind.Delete.GetReturnPrevious() {
			return "previous value in a transaction"
		}
		return unlessAlien(kind.Delete, "delete with unknown fields")
	case *pb.TransactionOperation_Append:
		return unlessAlien(kind.Append, "append with unknown fields")
	case *pb.TransactionOperation_Increment:
		return unlessAlien(kind.Increment, "increment with unknown fields")
	default:
		return "operation of an unknown kind"
	}
}

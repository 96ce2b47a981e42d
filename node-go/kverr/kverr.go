// Package kverr is the node's one error type: a code of protos/errors.proto, what is known of the operation, and the
// hints that let a client go on. Nothing matches an error by its message.
package kverr

import (
	"errors"
	"fmt"

	pb "kvorum/node/gen/errors"
)

// Error is a failure as a client will see it.
type Error struct {
	Code    pb.ErrorCode
	Outcome pb.Outcome
	Message string
	// RetryAfterMs is 0 when there is no advice.
	RetryAfterMs uint32
	// Leader is nil when unknown.
	Leader *pb.LeaderHint
	// Epoch is the newest map epoch known here, with WRONG_SHARD and MOVING.
	Epoch uint64
	// Version is the key's version now, with PRECONDITION_FAILED.
	Version uint64
	// Operation is 1 + the position of the operation that failed a transaction, `then` before `otherwise`; 0 for none.
	Operation uint32
	Cause     error
}

// NotApplied is a failure of an operation that took no effect and never will.
func NotApplied(code pb.ErrorCode, format string, args ...any) *Error {
	return build(code, pb.Outcome_OUTCOME_NOT_APPLIED, format, args...)
}

// Unknown is a failure of an operation that may have taken effect, or may still do so.
func Unknown(code pb.ErrorCode, format string, args ...any) *Error {
	return build(code, pb.Outcome_OUTCOME_UNKNOWN, format, args...)
}

// Of returns err as an *Error; anything that is not one is INTERNAL with an unknown outcome.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Unknown(pb.ErrorCode_ERROR_CODE_INTERNAL, "%w", err)
}

// From is an error that has travelled.
func From(e *pb.Error) *Error {
	return &Error{
		Code: e.GetCode(), Outcome: e.GetOutcome(), Message: e.GetMessage(), RetryAfterMs: e.GetRetryAfterMs(),
		Leader: e.GetLeader(), Epoch: e.GetEpoch(), Version: e.GetVersion(), Operation: e.GetOperation(),
	}
}

func build(code pb.ErrorCode, outcome pb.Outcome, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Outcome: outcome, Message: err.Error(), Cause: errors.Unwrap(err)}
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Message }

func (e *Error) Unwrap() error { return e.Cause }

// Proto is the error as it travels. `shard` and `nodeID` say who answers.
func (e *Error) Proto(shard uint32, nodeID string) *pb.Error {
	return &pb.Error{
		Code: e.Code, Outcome: e.Outcome, Message: e.Message, RetryAfterMs: e.RetryAfterMs,
		Shard: shard, NodeId: nodeID, Leader: e.Leader, Epoch: e.Epoch, Version: e.Version, Operation: e.Operation,
	}
}

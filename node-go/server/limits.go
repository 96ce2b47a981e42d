package server

import (
	"time"

	"kvorum/node/fsm"
	kvorumv1 "kvorum/node/gen/kvorum/v1"

	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Limits are what a node accepts. Past each, a clear error.
type Limits struct {
	// MaxKeyBytes: a key is 1..MaxKeyBytes bytes.
	MaxKeyBytes int
	// MaxValueBytes bounds a value.
	MaxValueBytes int
	// MaxMessageBytes bounds a Batch message, and the answer to one, unless it holds a single operation.
	MaxMessageBytes int
	// MaxLaneMessages bounds the messages of one Batch stream that are being worked on or wait to be sent. Past it the
	// stream is not read, so that gRPC's flow control holds the client back.
	MaxLaneMessages int
	// MaxLanes bounds the Batch streams of the node, over all connections; one more is ended with OVERLOADED.
	MaxLanes int
	// DefaultTimeout stands for a time-out of 0, MaxTimeout bounds any.
	DefaultTimeout, MaxTimeout time.Duration
	// SendTimeout ends a stream whose client does not read what it asked for: it would hold the node's byte budget.
	SendTimeout time.Duration
}

// DefaultLimits are those of DESIGN.md, section 13.
func DefaultLimits() Limits {
	return Limits{
		MaxKeyBytes: 4096, MaxValueBytes: 1 << 20, MaxMessageBytes: 4 << 20, MaxLaneMessages: 16,
		MaxLanes:       192,
		DefaultTimeout: 10 * time.Second, MaxTimeout: time.Minute, SendTimeout: 10 * time.Second,
	}
}

const (
	// HardMaxValueBytes is the top of MaxValueBytes: the engine and the Raft log take no more in one piece.
	HardMaxValueBytes = 8 << 20
	// operationOverhead is counted for each operation beside its bytes: its objects, here and in the queues. Measured:
	// see TestAnOperationWeighsWhatItHolds.
	operationOverhead = 736
	// maxOperations is what no message may have: its refusal alone would be megabytes. A gateway's clients have a lower one.
	maxOperations = 1 << 16
	// crowdedRetry: lanes live for as long as their clients.
	crowdedRetry = time.Second
	// defaultSessionExpiryMs is that of a session whose client does not say.
	defaultSessionExpiryMs = 60 * 60 * 1_000
	// answerSlack keeps the answer's own framing below the message limit, which is grpc's default for receivers.
	answerSlack = 64 << 10
)

func (l Limits) deadline(now time.Time, timeoutMs uint32) time.Time {
	timeout := time.Duration(timeoutMs) * time.Millisecond
	if timeout == 0 {
		timeout = l.DefaultTimeout
	}
	return now.Add(min(timeout, l.MaxTimeout))
}

// receiveBytes is the largest message that is received at all: one of the largest size, or of one operation.
func (l Limits) receiveBytes() int {
	return max(l.MaxMessageBytes, l.MaxValueBytes+l.MaxKeyBytes) + receiveSlack
}

// check says why an operation cannot be done at all; nil when it can.
func (l Limits) check(op *kvorumv1.Operation) *kverr.Error {
	switch kind := op.Kind.(type) {
	case *kvorumv1.Operation_Get:
		return l.checkKey(kind.Get.Key)
	case *kvorumv1.Operation_Put:
		return l.checkPut(kind.Put)
	case *kvorumv1.Operation_MortalPut:
		return l.checkPut(kind.MortalPut)
	case *kvorumv1.Operation_Delete:
		return l.checkKey(kind.Delete.Key)
	case *kvorumv1.Operation_Append:
		return l.checkWrite(kind.Append.Key, kind.Append.Value)
	case *kvorumv1.Operation_CompareAndSet:
		return l.checkCompareAndSet(kind.CompareAndSet)
	case *kvorumv1.Operation_Increment:
		return l.checkKey(kind.Increment.Key)
	case *kvorumv1.Operation_Transaction:
		return l.checkTransaction(kind.Transaction)
	case *kvorumv1.Operation_Touch:
		if err := checkTTL(kind.Touch.TtlMs); err != nil {
			return err
		}
		return l.checkKey(kind.Touch.Key)
	case *kvorumv1.Operation_GrantLease, *kvorumv1.Operation_KeepAlive, *kvorumv1.Operation_RevokeLease:
		return checkLease(op)
	case *kvorumv1.Operation_TtlOf:
		return l.checkKey(kind.TtlOf.Key)
	case *kvorumv1.Operation_Page:
		return l.checkPage(kind.Page)
	case *kvorumv1.Operation_OpenSession:
		return l.checkKey(kind.OpenSession.Key)
	default:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNSUPPORTED, "this node does not know the operation: upgrade it")
	}
}

func (l Limits) checkPut(put *kvorumv1.PutRequest) *kverr.Error {
	err := checkTTL(put.TtlMs)
	if err == nil && put.Lease != nil {
		err = fsm.CheckLeaseID(put.Lease)
	}
	if err != nil {
		return err
	}
	return l.checkWrite(put.Key, put.Value)
}

func (l Limits) checkWrite(key, value []byte) *kverr.Error {
	if len(value) > l.MaxValueBytes {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"the value has %d bytes, the limit is %d", len(value), l.MaxValueBytes)
	}
	return l.checkKey(key)
}

// checkCompareAndSet bounds both values together: an operation is then no larger than a put, wherever it is held.
func (l Limits) checkCompareAndSet(c *kvorumv1.CompareAndSetRequest) *kverr.Error {
	if both := len(c.Expected) + len(c.Value); both > l.MaxValueBytes {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"the value and the expected one have %d bytes, the limit is %d: a put can have the version as its condition", both, l.MaxValueBytes)
	}
	return l.checkKey(c.Key)
}

func (l Limits) checkKey(key []byte) *kverr.Error {
	switch {
	case len(key) == 0:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "the key is empty")
	case len(key) > l.MaxKeyBytes:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"the key has %d bytes, the limit is %d", len(key), l.MaxKeyBytes)
	default:
		return nil
	}
}

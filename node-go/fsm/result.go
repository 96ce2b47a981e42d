package fsm

import (
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Kind says which operation a Result answers.
type Kind uint8

const (
	KindPut Kind = iota + 1
	KindDelete
	KindAppend
	KindOpen
	KindCompareAndSet
	KindIncrement
	KindTransaction
	// KindGet is that of a get in a transaction.
	KindGet
	KindTouch
	KindGrantLease
	KindKeepAlive
	KindRevokeLease
)

// Result is the outcome of one write, the same on every replica. Err is nil if it took effect.
type Result struct {
	Kind Kind
	// Version is the key's version after a write that leaves a value; 0 otherwise.
	Version uint64
	// Length of the value after an append, in bytes.
	Length uint64
	// Value after an increment.
	Value int64
	// Existed says whether a delete or a revocation removed something, or a touch found something.
	Existed bool
	// More says of a revocation that keys of the lease are left.
	More bool
	// TTLMs is how long a lease lives from a keep-alive on.
	TTLMs uint64
	// Previous is what the key was, if the write asked for that and there was something.
	Previous *Previous
	// Left is how long a key had to live that a transaction's get has found; nil: it has no end.
	Left *uint64
	// Transaction is what a transaction came to that was carried out.
	Transaction *TransactionResult
	// Session that was opened.
	Session SessionID
	// Already is that of an Applied, where a whole command is answered as a write is.
	Already bool
	Err     *kverr.Error
}

// Previous is a value that a write has replaced or removed.
type Previous struct {
	Version uint64
	Value   []byte
}

// Applied is what Apply answers, by way of raft's ApplyFuture.
type Applied struct {
	Index uint64
	// Results of a WriteBatch, in the order of its writes.
	Results []Result
	// Already says of a step of a move that it had been carried out before: nothing was left to do.
	Already bool
	// Err is the failure of the command as a whole: a refused change of ownership, or an outcome that is unknown because the
	// entry was skipped or the state machine has stopped.
	Err *kverr.Error
	// Skipped says that the engine held this entry already, so that its results are not known. It happens only while
	// the log is replayed, when nobody waits for an answer.
	Skipped bool
}

func skipped(index uint64) *Applied {
	return &Applied{Index: index, Skipped: true, Err: kverr.Unknown(
		errpb.ErrorCode_ERROR_CODE_INTERNAL, "entry %d was applied earlier: its results are gone", index)}
}

package fsm

import (
	"bytes"
	"math"

	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Limits of writes that depend on the value that is there. They belong to the command's format.
const (
	// PreviousBytesMax bounds a value that a write gives back: the session keeps it until the client has the answer.
	PreviousBytesMax = 16 << 10
	// lookedBytesMax bounds what the writes of one entry read for conditions, sums and previous values. The entry may hold
	// thousands, each with a value that is millions of bytes.
	lookedBytesMax = 64 << 20
)

func (w *writer) compareAndSet(c *pb.CompareAndSet) (Result, error) {
	result := Result{Kind: KindCompareAndSet}
	if result.Err = checkValue(len(c.GetValue()), ValueBytesMax); result.Err != nil {
		return result, nil
	}
	before, refused, err := w.admitValue(c.GetKey(), nil)
	switch {
	case err != nil || refused != nil:
		result.Err = refused
		return result, err
	case c.Expected == nil && before.version > 0:
		result.Err = before.refuse(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
			"the key is there already, with version %d", before.version)
		return result, nil
	case c.Expected != nil && (before.version == 0 || !bytes.Equal(before.value, c.Expected)):
		result.Err = before.unexpected()
		return result, nil
	}
	result.Version = w.next(c.GetKey(), before.version)
	now := written{version: result.Version, value: c.GetValue()}
	w.set(c.GetKey(), now)
	w.changed(c.GetKey(), before, now)
	return result, nil
}

func (w *writer) increment(i *pb.Increment) (Result, error) {
	result := Result{Kind: KindIncrement}
	before, refused, err := w.admitValue(i.GetKey(), nil)
	if err != nil || refused != nil {
		result.Err = refused
		return result, err
	}
	number, by := int64(0), i.GetBy()
	if before.version > 0 {
		var isOne bool
		if number, isOne = parseNumber(before.value); !isOne {
			result.Err = before.refuse(errpb.ErrorCode_ERROR_CODE_NOT_A_NUMBER, "the key's value is no int64 in decimal")
			return result, nil
		}
	}
	if by > 0 && number > math.MaxInt64-by || by < 0 && number < math.MinInt64-by {
		result.Err = before.refuse(errpb.ErrorCode_ERROR_CODE_OVERFLOW, "%d and %d make no int64", number, by)
		return result, nil
	}
	result.Value, result.Version = number+by, w.next(i.GetKey(), before.version)
	now := written{version: result.Version, value: formatNumber(result.Value), expiry: before.expiry, lease: before.lease}
	w.set(i.GetKey(), now)
	w.changed(i.GetKey(), before, now)
	return result, nil
}

// admitPrevious is admit for a write that may give back what it replaces. What is too large for that stays as it is: a repeated
// write is to get the very same answer, and answers have to be kept.
func (w *writer) admitPrevious(key []byte, ifVersion *uint64, wanted bool) (before written, refused *kverr.Error, err error) {
	if !wanted {
		return w.admit(key, ifVersion, w.version)
	}
	before, refused, err = w.admitValue(key, ifVersion)
	if err == nil && refused == nil && len(before.value) > PreviousBytesMax {
		refused = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"the value that is there has %d bytes, and a write gives back %d at most: read it, and write if its version is %d",
			len(before.value), PreviousBytesMax, before.version)
	}
	return before, refused, err
}

// admitValue is admit for a write that depends on the value. What finds no room is not even read: it comes again.
func (w *writer) admitValue(key []byte, ifVersion *uint64) (before written, refused *kverr.Error, err error) {
	if w.looked >= lookedBytesMax {
		_, isWritten := w.written[string(key)]
		_, isSeen := w.seen[string(userKey(key))]
		if !isWritten && !isSeen {
			return written{}, full("the writes of one entry read at most %d bytes", lookedBytesMax), nil
		}
	}
	return w.admit(key, ifVersion, w.look)
}

// look reads a key once, however many writes of the entry depend on it.
func (w *writer) look(stored []byte) (written, error) {
	if known, any := w.seen[string(stored)]; any {
		return known, nil
	}
	found, err := w.record(stored)
	if err != nil {
		return written{}, err
	}
	if w.seen == nil {
		w.seen = make(map[string]written)
	}
	w.seen[string(stored)] = found
	w.looked += len(found.value)
	return found, nil
}

// previous is a copy: it is kept for longer than the entry.
func (w written) previous() *Previous {
	if w.version == 0 {
		return nil
	}
	return &Previous{Version: w.version, Value: append([]byte{}, w.value...)}
}

// refuse is the answer of a write that this state of the key does not allow.
func (w written) refuse(code errpb.ErrorCode, format string, args ...any) *kverr.Error {
	err := kverr.NotApplied(code, format, args...)
	err.Version = w.version
	return err
}

// unexpected says why a write that expects a value may not be.
func (w written) unexpected() *kverr.Error {
	const failed = errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED
	if w.version == 0 {
		return w.refuse(failed, "the key is absent, and was expected to have a value")
	}
	return w.refuse(failed, "the key's value is not the expected one; its version is %d", w.version)
}

// returnsPrevious says whether the write's answer may hold a value.
func returnsPrevious(write *pb.Write) bool {
	return write.GetPut().GetReturnPrevious() || write.GetDelete().GetReturnPrevious()
}

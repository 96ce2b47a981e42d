package engine

import (
	"errors"
	"fmt"
)

// ErrClosed is what every call on a closed engine or view returns.
var ErrClosed = errors.New("engine is closed")

// CorruptError says that stored bytes, once durable, are not what was written. The replica must be made anew from its
// peers; nothing here can repair it.
type CorruptError struct {
	Path   string
	Offset int64
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("damaged data in %s at offset %d: %s", e.Path, e.Offset, e.Reason)
}

// OrderError says that a batch's index is not above the applied one.
type OrderError struct {
	Index   uint64
	Applied uint64
}

func (e *OrderError) Error() string {
	return fmt.Sprintf("batch has index %d, but %d is applied already", e.Index, e.Applied)
}

// LimitError says that a record or batch is larger than the formats allow.
type LimitError struct {
	What  string
	Bytes int64
	Max   int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s of %d bytes exceeds the limit of %d", e.What, e.Bytes, e.Max)
}

// StreamError says that a stream given to Restore is broken, or that reading it failed (then Cause is set). The engine is
// as it was.
type StreamError struct {
	Offset int64
	Reason string
	Cause  error
}

func (e *StreamError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("bad engine stream at offset %d: %s: %v", e.Offset, e.Reason, e.Cause)
	}
	return fmt.Sprintf("bad engine stream at offset %d: %s", e.Offset, e.Reason)
}

func (e *StreamError) Unwrap() error { return e.Cause }

// IOError says that the file system failed. Err holds the system's reason (syscall.ENOSPC, syscall.EIO).
type IOError struct {
	Op   string
	Path string
	Err  error
}

func (e *IOError) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }

func (e *IOError) Unwrap() error { return e.Err }

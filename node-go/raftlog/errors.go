package raftlog

import (
	"fmt"
)

// CorruptError says that what was durable is not what was written. The log cannot be trusted with a vote or a commit any
// more: the node must be replaced (see DESIGN.md).
type CorruptError struct {
	Path   string
	Offset int64
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("damaged raft log: %s at offset %d: %s", e.Path, e.Offset, e.Reason)
}

// IOError says that the file system failed. Err holds the system's reason (syscall.ENOSPC, syscall.EIO). What was being
// written may or may not be durable.
type IOError struct {
	Op  string
	Err error
}

func (e *IOError) Error() string { return fmt.Sprintf("raft log: %s: %v", e.Op, e.Err) }

func (e *IOError) Unwrap() error { return e.Err }

// FormatError says that the log was written by a version of this program that this one cannot read.
type FormatError struct {
	Path       string
	Have, Want uint64
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("raft log: %s has entries of format %#x, this version knows %#x", e.Path, e.Have, e.Want)
}

// TermError says that Raft tried to go back to an earlier term, which would let it vote twice in one.
type TermError struct {
	Key  string
	Have uint64
	Want uint64
}

func (e *TermError) Error() string {
	return fmt.Sprintf("raft log: %s must not go back from %d to %d", e.Key, e.Have, e.Want)
}

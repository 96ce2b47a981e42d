package raftlog

import (
	"errors"
	"io"
	"io/fs"

	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// filer is raft-wal's, which tells of a segment that cannot be made. raft-wal makes the next segment in the background and
// only logs an error; all later appends would fail with "segment is sealed", and hide that the disk is full.
//
// It also writes our codec's id into a new segment: raft-wal v0.4.2 writes its own codec's whatever codec it was given, and
// then refuses to open the log again (metaStore.CommitState does the same for the metadata).
type filer struct {
	*segment.Filer
	failed func(error)
}

func (f *filer) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	info.Codec = codecID
	writer, err := f.Filer.Create(info)
	if err != nil {
		err = &IOError{Op: "make a segment", Err: err}
		f.failed(err)
	}
	return writer, err
}

// classify makes an error of raft-wal's one of ours.
func classify(dir, op string, err error) error {
	var corrupt *CorruptError
	var failed *IOError
	var term *TermError
	var format *FormatError
	var entry errEntry
	switch {
	case errors.As(err, &corrupt), errors.As(err, &failed), errors.As(err, &term), errors.As(err, &format):
		return err
	case errors.As(err, &entry), errors.Is(err, wal.ErrCorrupt), errors.Is(err, fs.ErrNotExist),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &CorruptError{Path: dir, Reason: op + ": " + err.Error()}
	default:
		return &IOError{Op: op, Err: err}
	}
}

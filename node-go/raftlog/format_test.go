package raftlog

import (
	"errors"
	"syscall"
	"testing"

	"kvorum/node/vfs"
)

func TestAnotherFormatIsRefused(t *testing.T) {
	h := newHarness(t)
	all := written(t, h)
	meta := &metaStore{fs: vfs.OS(), dir: h.dir, failed: func(error) {}}
	state, err := meta.loadSegments()
	if err != nil {
		t.Fatal(err)
	}
	state.Segments[0].Codec++
	if err := meta.write(segmentsFile, state); err != nil {
		t.Fatal(err)
	}
	_, err = Open(h.dir, h.options)
	var format *FormatError
	if !errors.As(err, &format) || format.Have != codecID+1 {
		t.Errorf("got %v", err)
	}
	all.writeTo(t, h.dir)
}

// raft-wal by itself takes no entry after a crash between the two steps of sealing a segment.
func TestACrashWhileSealing(t *testing.T) {
	h := newHarness(t)
	h.options.SegmentBytes = 1 << 10
	crashed := false
	options := h.options
	options.FS = &failingFS{FS: vfs.OS(), fail: func(string) error {
		if crashed {
			return syscall.EIO
		}
		return nil
	}}
	l, err := Open(h.dir, options)
	if err != nil {
		t.Fatal(err)
	}
	// From here on the list of segments stays as it is.
	crashed = true
	last := uint64(0)
	for l.StoreLog(entry(last+1, 1)) == nil {
		last++
	}
	l.Close()
	l = h.open()
	mustHold(t, l, 1, last, 1)
	mustStore(t, l, entries(last+1, last+3, 1))
	l.Close()
	mustHold(t, h.open(), 1, last+3, 1)
}

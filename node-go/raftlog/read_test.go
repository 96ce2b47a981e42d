package raftlog

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"kvorum/node/vfs"
)

// closingFS closes a segment under its reader, once, as raft-wal does when it is deleted at that moment.
type closingFS struct {
	vfs.FS
	// meanwhile is what happens before the read fails; nil: nothing fails.
	meanwhile func()
}

func (f *closingFS) Open(path string) (vfs.File, error) {
	file, err := f.FS.Open(path)
	if err != nil || !strings.HasSuffix(path, segmentSuffix) {
		return file, err
	}
	return &closingFile{File: file, fs: f}, nil
}

type closingFile struct {
	vfs.File
	fs *closingFS
}

func (f *closingFile) ReadAt(p []byte, offset int64) (int, error) {
	if meanwhile := f.fs.meanwhile; meanwhile != nil {
		f.fs.meanwhile = nil
		meanwhile()
		return 0, fs.ErrClosed
	}
	return f.File.ReadAt(p, offset)
}

// A follower that is far behind is sent what compaction deletes at that moment. It is gone then, and nothing is wrong.
func TestAReaderOfWhatIsDeletedFindsNothing(t *testing.T) {
	h := newHarness(t)
	h.options.SegmentBytes = 2 << 10
	disk := &closingFS{FS: vfs.OS()}
	h.options.FS = disk
	l := h.open()
	for i := uint64(1); i <= 200; i++ {
		mustStore(t, l, entries(i, i, 1))
	}
	// Only segments that were sealed before are opened for reading alone.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = h.open()
	disk.meanwhile = func() {
		if err := l.DeleteRange(1, 50); err != nil {
			t.Error(err)
		}
	}
	if err := l.GetLog(2, &raft.Log{}); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("got %v", err)
	}
	// What is still there is read again.
	disk.meanwhile = func() {}
	var got raft.Log
	if err := l.GetLog(60, &got); err != nil || !same(&got, entry(60, 1)) {
		t.Errorf("got %+v, %v", got, err)
	}
	if failed := h.reported(); len(failed) != 0 {
		t.Errorf("reported %v", failed)
	}
}

package raftlog

import (
	"errors"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	walfs "github.com/hashicorp/raft-wal/fs"

	"kvorum/node/vfs"
)

// After a write that failed, none is tried again: its error is reported once, and repeated to every later caller. A new
// start, with the cause gone, finds everything that was acknowledged.
func TestTheFirstFailedWriteIsTheLast(t *testing.T) {
	for _, test := range []struct {
		name string
		// fails says which call to the disk fails, once.
		fails string
		err   error
		call  func(l *Log) error
	}{
		{"disk full", "write", syscall.ENOSPC, func(l *Log) error { return l.StoreLogs(entries(11, 12, 1)) }},
		{"failed fsync", "fsync", syscall.EIO, func(l *Log) error { return l.StoreLog(entry(11, 1)) }},
		{"deletion of the end", "rename", syscall.ENOSPC, func(l *Log) error { return l.DeleteRange(5, 10) }},
		{"deletion of the beginning", "rename", syscall.EIO, func(l *Log) error { return l.DeleteRange(1, 5) }},
		{"term", "fsync in place", syscall.EIO, func(l *Log) error { return l.SetUint64([]byte(currentTerm), 2) }},
		{"vote", "write in place", syscall.ENOSPC, func(l *Log) error { return l.Set([]byte(lastVoteCand), []byte("b")) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t)
			failing := ""
			fail := func(call string) error {
				if call == failing {
					failing = ""
					return test.err
				}
				return nil
			}
			h.options.segmentFS = &hookedFS{FS: walfs.New(), before: func(call, _ string, _ []byte, _ int64) error { return fail(call) }}
			h.options.FS = &failingFS{FS: vfs.OS(), fail: fail}
			l := h.open()
			mustStore(t, l, entries(1, 10, 1))
			failing = test.fails
			if err := test.call(l); !errors.Is(err, test.err) {
				t.Fatalf("got %v", err)
			}
			for _, later := range []func(l *Log) error{
				test.call,
				func(l *Log) error { return l.StoreLog(entry(11, 1)) },
				func(l *Log) error { return l.DeleteRange(1, 2) },
				func(l *Log) error { return l.SetUint64([]byte(currentTerm), 9) },
			} {
				if err := later(l); !errors.Is(err, test.err) {
					t.Errorf("a later write: %v", err)
				}
			}
			var failed *IOError
			if got := h.reported(); len(got) != 1 || !errors.As(got[0], &failed) {
				t.Errorf("reported %v", got)
			}
			l.Close()
			l = h.open()
			for i := uint64(6); i <= 10; i++ {
				var got raft.Log
				if err := l.GetLog(i, &got); test.name != "deletion of the end" && (err != nil || !same(&got, entry(i, 1))) {
					t.Errorf("entry %d: %+v, %v", i, got, err)
				}
			}
			last, _ := l.LastIndex()
			mustStore(t, l, entries(last+1, last+2, 1))
		})
	}
}

type failingFS struct {
	vfs.FS
	fail func(call string) error
}

func (f *failingFS) Rename(from, to string) error {
	if err := f.fail("rename"); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *failingFS) OpenRandom(path string) (vfs.RandomFile, error) {
	return openInPlace(f.FS, path, f.fail)
}

// raft-wal makes the next segment in the background, and forgets that it could not.
func TestAFullDiskIsReportedWhenTheNextSegmentIsMade(t *testing.T) {
	h := newHarness(t)
	h.options.SegmentBytes = 1 << 10
	failed := make(chan error, 1)
	h.options.OnFailure = func(err error) { failed <- err }
	full := false
	h.options.segmentFS = &hookedFS{FS: walfs.New(), before: func(call, _ string, _ []byte, _ int64) error {
		if full && call == "create" {
			return syscall.ENOSPC
		}
		return nil
	}}
	l := h.open()
	full = true
	last := uint64(0)
	var err error
	for err == nil {
		last++
		err = l.StoreLog(entry(last, 1))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the append after it: %v", err)
	}
	if err := <-failed; !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("reported %v", err)
	}
	l.Close()
	if _, err := Open(h.dir, h.options); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("still full: %v", err)
	}
	full = false
	l = h.open()
	mustHold(t, l, 1, last-1, 1)
	mustStore(t, l, entries(last, last+5, 1))
}

// An append that leaves a gap is refused, whatever asks for it.
func TestGapsAreRefused(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	mustStore(t, l, entries(1, 3, 1))
	if err := l.StoreLog(entry(5, 1)); err == nil {
		t.Error("accepted")
	}
	if len(h.reported()) != 1 {
		t.Errorf("reported %v", h.reported())
	}
	if err := l.GetLog(5, &raft.Log{}); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("got %v", err)
	}
}

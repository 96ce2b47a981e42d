package raftlog

import (
	"testing"
	"time"

	walfs "github.com/hashicorp/raft-wal/fs"

	"kvorum/node/clock/clocktest"
	"kvorum/node/vfs"
)

const stallLimit = 2 * time.Second

// Every call that waits for the disk is watched: entries, deletions, and the stable store.
func TestStallsAreReported(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(l *Log) error
		want string
	}{
		{"append", func(l *Log) error { return l.StoreLogs(entries(11, 11, 1)) }, "raft log: append"},
		{"delete", func(l *Log) error { return l.DeleteRange(1, 5) }, "raft log: delete"},
		{"term", func(l *Log) error { return l.SetUint64([]byte(currentTerm), 5) }, "raft log: set CurrentTerm"},
		{"vote", func(l *Log) error { return l.Set([]byte(lastVoteCand), []byte("b")) }, "raft log: set LastVoteCand"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t)
			manual := clocktest.New()
			h.options.Clock = manual
			release := make(chan struct{})
			stuck := false
			wait := func() {
				if stuck {
					<-release
				}
			}
			h.options.segmentFS = &hookedFS{FS: walfs.New(), before: func(call, _ string, _ []byte, _ int64) error {
				if call == "fsync" {
					wait()
				}
				return nil
			}}
			h.options.FS = &stuckFS{FS: vfs.OS(), wait: wait}
			l := h.open()
			mustStore(t, l, entries(1, 10, 1))
			stuck = true
			done := make(chan error, 1)
			go func() { done <- test.call(l) }()
			manual.AwaitTimers(1)
			manual.Advance(stallLimit)
			manual.AwaitTimers(1)
			manual.Advance(stallLimit)
			if err := <-h.stalls; err.Op != test.want {
				t.Errorf("got %v", err)
			}
			close(release)
			if err := <-done; err != nil {
				t.Errorf("the disk came back, but: %v", err)
			}
		})
	}
}

// stuckFS waits before it makes a name durable, or writes in place.
type stuckFS struct {
	vfs.FS
	wait func()
}

func (f *stuckFS) SyncDir(dir string) error {
	f.wait()
	return f.FS.SyncDir(dir)
}

func (f *stuckFS) OpenRandom(path string) (vfs.RandomFile, error) {
	return openInPlace(f.FS, path, func(string) error {
		f.wait()
		return nil
	})
}

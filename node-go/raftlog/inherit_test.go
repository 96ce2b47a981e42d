package raftlog

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"kvorum/node/vfs/vfstest"
)

// onDisk makes the harness use a disk that forgets what was not fsynced.
func (h *harness) onDisk() *vfstest.FS {
	disk := vfstest.New()
	if err := errors.Join(disk.MkdirAll("/node/raft"), disk.SyncDir("/node"), disk.SyncDir("/")); err != nil {
		h.t.Fatal(err)
	}
	h.dir, h.options.FS = "/node/raft", disk
	return disk
}

// on is a harness for the same directory of another disk.
func (h *harness) on(disk *vfstest.FS) *harness {
	other := &harness{t: h.t, dir: h.dir, options: h.options, stalls: h.stalls}
	other.options.FS = disk
	return other
}

// after is a harness on what a power cut has left.
func (h *harness) after(disk *vfstest.FS, loss vfstest.Loss) *harness {
	return h.on(disk.Crash(loss))
}

func isSegment(op vfstest.Op, call string) bool {
	return op.Call == call && strings.HasSuffix(op.Path, segmentSuffix)
}

// diesInFsync writes entries up to last, and more in a batch whose fsync does not return before the process is gone, or fails.
func (h *harness) diesInFsync(disk *vfstest.FS, last, more uint64, fails error) {
	h.t.Helper()
	l := h.open()
	if err := l.SetUint64([]byte(currentTerm), 2); err != nil {
		h.t.Fatal(err)
	}
	mustStore(h.t, l, entries(1, last, 2))
	reached, gone := make(chan struct{}), make(chan struct{})
	h.t.Cleanup(func() { close(gone) })
	disk.SetHook(func(op vfstest.Op) vfstest.Fault {
		if !isSegment(op, "fsync") {
			return vfstest.Fault{}
		}
		if fails != nil {
			return vfstest.Fault{Err: fails}
		}
		close(reached)
		<-gone
		return vfstest.Fault{Err: syscall.EIO}
	})
	if fails != nil {
		if err := l.StoreLogs(entries(last+1, last+more, 2)); !errors.Is(err, fails) {
			h.t.Fatalf("got %v", err)
		}
	} else {
		go func() { _ = l.StoreLogs(entries(last+1, last+more, 2)) }()
		<-reached
	}
	disk.SetHook(nil)
}

// What Open finds may be in the page cache only. Whoever asks afterwards is told that it is here; so it must be durable.
func TestWhatOpenFindsIsDurable(t *testing.T) {
	const last = 5
	for _, more := range []uint64{1, 60} {
		for name, fails := range map[string]error{"killed": nil, "failed": syscall.EIO} {
			for _, goesOn := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d entries %s, goes on %v", more, name, goesOn), func(t *testing.T) {
					h := newHarness(t)
					disk := h.onDisk()
					h.diesInFsync(disk, last, more, fails)
					l := h.open()
					found, err := l.LastIndex()
					if err != nil || found != last+more {
						t.Fatalf("the log ends with %d, %v: the test tests nothing", found, err)
					}
					if goesOn {
						found++
						mustStore(t, l, entries(found, found, 2))
					}
					for name, loss := range vfstest.Losses(4) {
						t.Logf("lost: %s", name)
						left := h.after(disk, loss).open()
						mustHold(t, left, 1, found, 2)
						if term, err := left.GetUint64([]byte(currentTerm)); term != 2 || err != nil {
							t.Errorf("term %d, %v", term, err)
						}
					}
				})
			}
		}
	}
}

// The name of a segment becomes durable with its first fsync, also when that is another process's.
func TestTheNameOfASegmentThatWasNotUsed(t *testing.T) {
	h := newHarness(t)
	disk := h.onDisk()
	l := h.open()
	made := make(chan struct{}, 8)
	disk.SetHook(func(op vfstest.Op) vfstest.Fault {
		if isSegment(op, "create") || op.Call == "rename" && strings.HasSuffix(op.Path, segmentSuffix) {
			made <- struct{}{}
		}
		return vfstest.Fault{}
	})
	last := uint64(0)
	for len(made) == 0 {
		last++
		mustStore(t, l, entries(last, last, 1))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	disk.SetHook(nil)
	l = h.open()
	mustStore(t, l, entries(last+1, last+5, 1))
	for name, loss := range vfstest.Losses(4) {
		t.Logf("lost: %s", name)
		mustHold(t, h.after(disk, loss).open(), 1, last+5, 1)
	}
}

// The power fails in the first write of a process whose predecessor was killed in its last: neither was promised, and nothing is
// damaged.
func TestTwoWritesThatWereCutOff(t *testing.T) {
	const last = 5
	for seed := range uint64(8) {
		h := newHarness(t)
		disk := h.onDisk()
		h.diesInFsync(disk, last, 1, nil)
		l := h.open()
		var left *harness
		disk.SetHook(func(op vfstest.Op) vfstest.Fault {
			if isSegment(op, "fsync") && left == nil {
				left = h.after(disk, vfstest.Losses(seed + 1)[fmt.Sprintf("random %d", seed)])
			}
			return vfstest.Fault{}
		})
		mustStore(t, l, entries(last+2, last+4, 3))
		disk.SetHook(nil)
		after := left.open()
		if got, err := after.LastIndex(); err != nil || got < last+1 {
			t.Errorf("seed %d: the log ends with %d, %v", seed, got, err)
		}
	}
}

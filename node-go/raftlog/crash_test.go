package raftlog

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hashicorp/raft"
	walfs "github.com/hashicorp/raft-wal/fs"

	"kvorum/node/vfs"
	"kvorum/node/vfs/vfstest"
)

// promise is what must survive a crash at some moment.
type promise struct {
	// acknowledged entries from first to last, with their terms; beyond last there may be `pending` more, or none.
	first, last uint64
	terms       map[uint64]uint64
	// deleting: a deletion is under way, so first or last may be the old or the new one.
	firstNext, lastNext uint64
	// term is the one before or after a change that is under way.
	term, termNext uint64
}

// crasher keeps a copy of the directory as a crash would leave it, before every step that changes it.
type crasher struct {
	t   *testing.T
	dir string

	// mu: raft-wal makes the next segment on a goroutine of its own.
	mu      sync.Mutex
	promise promise
	crashes []crash
}

// crash is what is on the disk afterwards: files, or a disk that was left.
type crash struct {
	what    string
	disk    files
	left    *vfstest.FS
	promise promise
}

func (c *crasher) keep(what string, disk files) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crashes = append(c.crashes, crash{what: what, disk: disk, promise: c.promise.copy()})
}

// cut takes the power away while no promise can change: raft-wal and the spares have goroutines of their own.
func (c *crasher) cut(what string, disk *vfstest.FS, loss vfstest.Loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := disk.Crash(loss)
	c.crashes = append(c.crashes, crash{what: what, left: left, promise: c.promise.copy()})
}

func (p promise) copy() promise {
	p.terms = maps.Clone(p.terms)
	return p
}

// segmentStep is called before raft-wal changes a segment. A write is torn in several ways.
func (c *crasher) segmentStep(call, name string, data []byte, offset int64) error {
	disk := readFiles(c.t, c.dir)
	c.keep("before "+call+" "+name, disk)
	if call != "write" {
		return nil
	}
	for what, part := range map[string][2]int{"beginning": {0, len(data) / 2}, "end": {len(data) / 2, len(data)}} {
		// Only whole sectors reach the disk.
		from := alignUp(int(offset)+part[0]) - int(offset)
		to := alignUp(int(offset)+part[1]) - int(offset)
		if part[0] == 0 {
			from = 0
		}
		to = min(to, len(data))
		if from >= to || from == 0 && to == len(data) {
			continue
		}
		file := append(bytes.Clone(disk[name]), make([]byte, max(0, int(offset)+len(data)-len(disk[name])))...)
		copy(file[int(offset)+from:int(offset)+to], data[from:to])
		c.keep("with the "+what+" of a write to "+name, disk.with(name, file))
	}
	return nil
}

func alignUp(n int) int { return (n + sectorBytes - 1) &^ (sectorBytes - 1) }

// stepFS calls segmentStep's like for the metadata.
type stepFS struct {
	vfs.FS
	c *crasher
}

func (f *stepFS) Rename(from, to string) error {
	f.c.keep("before the rename to "+filepath.Base(to), readFiles(f.c.t, f.c.dir))
	return f.FS.Rename(from, to)
}

func (f *stepFS) SyncDir(dir string) error {
	f.c.keep("before the fsync of the directory", readFiles(f.c.t, f.c.dir))
	return f.FS.SyncDir(dir)
}

func (f *stepFS) OpenRandom(path string) (vfs.RandomFile, error) {
	return openInPlace(f.FS, path, func(call string) error {
		f.c.keep("before the "+call+" of "+filepath.Base(path), readFiles(f.c.t, f.c.dir))
		return nil
	})
}

// Whenever the process dies, and whichever half of a write reached the disk: what was acknowledged is there afterwards,
// and the log goes on from there.
func TestCrashesAtEveryStep(t *testing.T) {
	h := newHarness(t)
	h.options.SegmentBytes = 2 << 10
	c := &crasher{t: t, dir: h.dir, promise: promise{first: 1, firstNext: 1, terms: map[uint64]uint64{}}}
	options := h.options
	options.FS = &stepFS{FS: vfs.OS(), c: c}
	options.segmentFS = &hookedFS{FS: walfs.New(), before: c.segmentStep}
	l, err := Open(h.dir, options)
	if err != nil {
		t.Fatal(err)
	}
	c.workload(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d crashes", len(c.crashes))
	for i, crash := range c.crashes {
		crash.disk.writeTo(t, h.dir)
		if err := crash.check(h); err != nil {
			t.Fatalf("crash %d, %s: %v", i, crash.what, err)
		}
	}
}

// The same on a disk that forgets any part of what was not fsynced, names included.
func TestPowerCutsAtEveryStep(t *testing.T) {
	const seeds = 4
	h := newHarness(t)
	h.options.SegmentBytes = 2 << 10
	disk := h.onDisk()
	c := &crasher{t: t, promise: promise{first: 1, firstNext: 1, terms: map[uint64]uint64{}}}
	disk.SetHook(func(op vfstest.Op) vfstest.Fault {
		if !op.Changes() {
			return vfstest.Fault{}
		}
		for name, loss := range vfstest.Losses(seeds) {
			c.cut(fmt.Sprintf("before %s %s, lost %s", op.Call, filepath.Base(op.Path), name), disk, loss)
		}
		return vfstest.Fault{}
	})
	l := h.open()
	c.workload(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	disk.SetHook(nil)
	t.Logf("%d disks", len(c.crashes))
	for _, crash := range c.crashes {
		if err := crash.check(h.on(crash.left)); err != nil {
			t.Fatalf("%s: %v", crash.what, err)
		}
	}
}

// workload appends over several segments, replaces an end, deletes a beginning, votes, and empties the log.
func (c *crasher) workload(l *Log) {
	change := func(what func(*promise)) {
		c.mu.Lock()
		defer c.mu.Unlock()
		what(&c.promise)
	}
	appendTo := func(last, term uint64) {
		// Nobody else changes it.
		for c.promise.last < last {
			logs := entries(c.promise.last+1, min(c.promise.last+3, last), term)
			change(func(p *promise) {
				p.lastNext = logs[len(logs)-1].Index
				for _, e := range logs {
					p.terms[e.Index] = term
				}
			})
			mustStore(c.t, l, logs)
			change(func(p *promise) { p.last = p.lastNext })
		}
	}
	must := func(err error) {
		if err != nil {
			c.t.Fatal(err)
		}
	}
	// Nothing of it is acknowledged before all is durable.
	aheadTo := func(last, term uint64) {
		first := c.promise.last + 1
		change(func(p *promise) {
			p.lastNext = last
			for i := first; i <= last; i++ {
				p.terms[i] = term
			}
		})
		for ; first <= last; first += 3 {
			must(l.StoreAhead(entries(first, min(first+2, last), term)))
		}
		must(l.Settle())
		change(func(p *promise) { p.last = last })
	}
	// Term 1 is a bootstrap's: without entries it is taken back (TestABootstrapThatWasCutOffIsTakenBack).
	change(func(p *promise) { p.termNext = 2 })
	must(l.SetUint64([]byte(currentTerm), 2))
	change(func(p *promise) { p.term = 2 })
	appendTo(30, 2)
	change(func(p *promise) { p.lastNext = 20 })
	must(l.DeleteRange(21, 30))
	change(func(p *promise) { p.last = 20 })
	change(func(p *promise) { p.termNext = 3 })
	must(l.SetUint64([]byte(currentTerm), 3))
	change(func(p *promise) { p.term = 3 })
	appendTo(40, 3)
	change(func(p *promise) { p.firstNext = 16 })
	must(l.DeleteRange(1, 15))
	change(func(p *promise) { p.first = 16 })
	appendTo(60, 3)
	aheadTo(90, 3)
	change(func(p *promise) { p.firstNext, p.lastNext = 0, 0 })
	must(l.DeleteRange(16, 90))
	change(func(p *promise) { p.first, p.last = 0, 0 })
}

// check opens what a crash has left.
func (k crash) check(h *harness) error {
	l, err := Open(h.dir, h.options)
	if err != nil {
		return err
	}
	defer l.Close()
	first, _ := l.FirstIndex()
	last, _ := l.LastIndex()
	p := k.promise
	if last != 0 && first != p.first && first != p.firstNext {
		return fmt.Errorf("begins with %d, must be %d or %d", first, p.first, p.firstNext)
	}
	if last < min(p.last, p.lastNext) || last > max(p.last, p.lastNext) {
		return fmt.Errorf("ends with %d, must be %d to %d", last, p.last, p.lastNext)
	}
	for i := first; last != 0 && i <= last; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if !same(&got, entry(i, got.Term)) || got.Term != p.terms[i] && i <= min(p.last, p.lastNext) {
			return fmt.Errorf("entry %d is of term %d, must be of %d", i, got.Term, p.terms[i])
		}
	}
	term, err := l.GetUint64([]byte(currentTerm))
	if err != nil {
		return err
	}
	if term != p.term && term != p.termNext {
		return fmt.Errorf("term %d, must be %d or %d", term, p.term, p.termNext)
	}
	return l.StoreLogs(entries(last+1, last+2, 9))
}

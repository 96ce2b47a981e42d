package raftlog

import (
	"errors"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	walfs "github.com/hashicorp/raft-wal/fs"
)

// slowDisk holds every fsync of a segment until it is let go.
type slowDisk struct {
	mu     sync.Mutex
	fsyncs int
	held   bool
	err    error
	change *sync.Cond
	// calls are the writes and fsyncs in their order.
	calls []string
}

func newSlowDisk() *slowDisk {
	d := &slowDisk{}
	d.change = sync.NewCond(&d.mu)
	return d
}

func (d *slowDisk) before(call, _ string, _ []byte, _ int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if call == "fsync" {
		d.fsyncs++
		d.change.Broadcast()
		for d.held {
			d.change.Wait()
		}
		if d.err != nil {
			return d.err
		}
	}
	d.calls = append(d.calls, call)
	return nil
}

func (d *slowDisk) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = true
}

func (d *slowDisk) release(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held, d.err = false, err
	d.change.Broadcast()
}

// awaitFsync waits until the n-th fsync has begun.
func (d *slowDisk) awaitFsync(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.fsyncs < n {
		d.change.Wait()
	}
}

func (d *slowDisk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fsyncs
}

// openAhead is a log of entries 1 to 3 on a disk that is held from now on.
func openAhead(t *testing.T) (*harness, *Log, *slowDisk) {
	h := newHarness(t)
	disk := newSlowDisk()
	h.options.segmentFS = &hookedFS{FS: walfs.New(), before: disk.before}
	l := h.open()
	mustStore(t, l, entries(1, 3, 1))
	disk.hold()
	// Or the log could not be closed when a test fails.
	t.Cleanup(func() { disk.release(nil) })
	return h, l, disk
}

func mustStoreAhead(t *testing.T, l *Log, logs []*raft.Log) {
	t.Helper()
	if err := l.StoreAhead(logs); err != nil {
		t.Fatal(err)
	}
}

func TestEntriesAheadCanBeReadAndAreNotDurable(t *testing.T) {
	h, l, disk := openAhead(t)
	before := disk.count()
	mustStoreAhead(t, l, entries(4, 5, 2))
	mustStoreAhead(t, l, entries(6, 6, 2))
	disk.awaitFsync(before + 1)
	for i := uint64(4); i <= 6; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil || !same(&got, entry(i, 2)) {
			t.Errorf("entry %d: %+v, %v", i, got, err)
		}
	}
	if err := l.GetLog(7, &raft.Log{}); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("entry 7: %v", err)
	}
	if last, err := l.LastIndex(); last != 6 || err != nil {
		t.Errorf("last index %d, %v", last, err)
	}
	for asked, want := range map[uint64]uint64{2: 2, 3: 3, 4: 3, 6: 3, 9: 3} {
		if got := l.Durable(asked); got != want {
			t.Errorf("durable up to %d of %d, want %d", got, asked, want)
		}
	}
	if err := l.AwaitDurable(3); err != nil {
		t.Errorf("what is durable is waited for: %v", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- l.AwaitDurable(6) }()
	select {
	case err := <-waited:
		t.Fatalf("it was called durable before the fsync: %v", err)
	default:
	}
	disk.release(nil)
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if got := l.Durable(6); got != 6 {
		t.Errorf("durable up to %d", got)
	}
	l.Close()
	again := h.open()
	var got raft.Log
	if err := again.GetLog(6, &got); err != nil || !same(&got, entry(6, 2)) {
		t.Errorf("after a start: %+v, %v", got, err)
	}
}

// What waits while an fsync is under way shares the next one.
func TestEntriesAheadShareAnFsync(t *testing.T) {
	_, l, disk := openAhead(t)
	before := disk.count()
	mustStoreAhead(t, l, entries(4, 4, 1))
	disk.awaitFsync(before + 1)
	for i := uint64(5); i <= 20; i++ {
		mustStoreAhead(t, l, entries(i, i, 1))
	}
	disk.release(nil)
	if err := l.Settle(); err != nil {
		t.Fatal(err)
	}
	if got := disk.count() - before; got != 2 {
		t.Errorf("%d fsyncs, want 2", got)
	}
	mustHold(t, l, 1, 20, 1)
}

// An append, a deletion and the end of the log come after everything that is ahead.
func TestWhatIsAheadIsWrittenFirst(t *testing.T) {
	for name, call := range map[string]func(*Log) error{
		"append":   func(l *Log) error { return l.StoreLogs(entries(6, 7, 2)) },
		"deletion": func(l *Log) error { return l.DeleteRange(5, 5) },
		"settle":   func(l *Log) error { return l.Settle() },
		"close":    func(l *Log) error { return l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			h, l, disk := openAhead(t)
			before := disk.count()
			mustStoreAhead(t, l, entries(4, 5, 1))
			disk.awaitFsync(before + 1)
			done := make(chan error, 1)
			go func() { done <- call(l) }()
			select {
			case err := <-done:
				t.Fatalf("it did not wait: %v", err)
			default:
			}
			if disk.count() != before+1 {
				t.Error("it wrote beside an fsync that was under way")
			}
			disk.release(nil)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			l.Close()
			again := h.open()
			last, _ := again.LastIndex()
			if want := map[string]uint64{"append": 7, "deletion": 4, "settle": 5, "close": 5}[name]; last != want {
				t.Errorf("the log ends with %d, want %d", last, want)
			}
		})
	}
}

// After a failed write nothing that was ahead is ever called durable, and nobody waits for it for ever.
func TestAFailedWriteOfWhatIsAhead(t *testing.T) {
	h, l, disk := openAhead(t)
	mustStoreAhead(t, l, entries(4, 5, 1))
	waited := make(chan error, 3)
	go func() { waited <- l.AwaitDurable(5) }()
	go func() { waited <- l.StoreLog(entry(6, 1)) }()
	go func() { waited <- l.DeleteRange(1, 2) }()
	disk.release(syscall.EIO)
	for range 3 {
		if err := <-waited; !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v", err)
		}
	}
	if got := l.Durable(5); got != 3 {
		t.Errorf("durable up to %d", got)
	}
	if err := l.StoreAhead(entries(6, 6, 1)); !errors.Is(err, syscall.EIO) {
		t.Errorf("a later append: %v", err)
	}
	if got := h.reported(); len(got) != 1 || !errors.Is(got[0], syscall.EIO) {
		t.Errorf("reported %v", got)
	}
}

func TestNothingIsStoredAheadInAClosedLog(t *testing.T) {
	l := newHarness(t).open()
	l.Close()
	if err := l.StoreAhead(entries(1, 1, 1)); err == nil {
		t.Error("it was taken")
	}
}

// Each fsync is over before the next write begins: what recovery takes for granted (frames.go).
func TestWritesAheadFollowOneAnother(t *testing.T) {
	h := newHarness(t)
	disk := newSlowDisk()
	h.options.segmentFS = &hookedFS{FS: walfs.New(), before: disk.before}
	l := h.open()
	for i := uint64(1); i <= 200; i++ {
		mustStoreAhead(t, l, entries(i, i, 1))
	}
	if err := l.Settle(); err != nil {
		t.Fatal(err)
	}
	mustHold(t, l, 1, 200, 1)
	// Its own goroutine makes segments.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	writes := slices.DeleteFunc(disk.calls, func(call string) bool { return call == "create" })
	for i, call := range writes {
		if want := []string{"write", "fsync"}[i%2]; call != want {
			t.Fatalf("call %d is a %s: %v", i, call, writes[:i+1])
		}
	}
}

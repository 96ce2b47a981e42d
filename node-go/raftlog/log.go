// Package raftlog is Raft's durable memory: its log, its term and its vote. It is hashicorp/raft-wal with what that leaves
// open: a checksum on every read, a strict recovery, protected metadata, a cache bounded in bytes, a watchdog, and an end
// at the first failed write.
package raftlog

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"kvorum/node/clock"
	"kvorum/node/stall"
	"kvorum/node/vfs"
)

// Defaults of Options.
const (
	// DefaultSegmentBytes is really allocated, twice while a segment is being replaced, and there may be dozens of nodes on
	// one disk.
	DefaultSegmentBytes = 4 << 20
	// DefaultCacheBytes covers what followers that keep up may still ask for.
	DefaultCacheBytes = 8 << 20
)

// Options of Open; all are required unless they say otherwise.
type Options struct {
	FS    vfs.FS
	Clock clock.Clock
	Log   *slog.Logger
	// WALLog is for raft-wal's own messages.
	WALLog hclog.Logger
	// SegmentBytes, CacheBytes and StallLimit have defaults for 0.
	SegmentBytes int
	CacheBytes   int64
	StallLimit   time.Duration
	// Appended is told how many bytes each write has added. It must not block. nil: nobody wants to know.
	Appended func(bytes int64)
	// PaceChanged is called when Pace has changed. It must not block, nor call the Log. nil: nobody wants to know.
	PaceChanged func()
	// OnStall is called at most once, on a goroutine of its own, when the disk does not answer. The process should end.
	OnStall func(*stall.Error)
	// OnFailure is called at most once, on the goroutine that met it, with *CorruptError or *IOError or *TermError, or an
	// error of raft-wal's that should not occur. The process should end: the log takes no further write. It must not call
	// the Log, which may hold its locks.
	OnFailure func(error)

	// segmentFS stands in for the disk below raft-wal in tests, without spare segments.
	segmentFS types.VFS
}

// Log is raft.LogStore and raft.StableStore. Safe for concurrent use.
type Log struct {
	options Options
	dir     string
	wal     *wal.WAL
	codec   *codec
	cache   cache
	sizes   *sizes
	dog     *stall.Watchdog
	pace    *pace
	spares  *spares
	ahead   *ahead

	// writing makes writes of entries and deletions follow one another.
	writing sync.Mutex
	// setting does the same for the stable store.
	setting sync.Mutex

	mu     sync.Mutex
	opened bool
	failed error
}

var (
	_ raft.LogStore          = (*Log)(nil)
	_ raft.StableStore       = (*Log)(nil)
	_ raft.MonotonicLogStore = (*Log)(nil)
)

// Open opens the log in dir, or makes an empty one. A torn last write is cut off. Damage is *CorruptError; what is damaged
// stays as it is. A log of another version is *FormatError.
func Open(dir string, o Options) (*Log, error) {
	o.setDefaults()
	if err := o.FS.MkdirAll(dir); err != nil {
		return nil, &IOError{Op: "make " + dir, Err: err}
	}
	// Its name, and the names in it, before anybody relies on them. Always: whoever made them may have died before this.
	if err := errors.Join(o.FS.SyncDir(filepath.Dir(dir)), o.FS.SyncDir(dir)); err != nil {
		return nil, &IOError{Op: "sync the directories of " + dir, Err: err}
	}
	l := &Log{
		options: o, dir: dir, codec: &codec{}, cache: cache{limit: o.CacheBytes}, sizes: newSizes(0),
		dog: stall.New(o.Clock, o.StallLimit, o.OnStall), pace: &pace{clock: o.Clock, changed: o.PaceChanged},
	}
	if err := removeSpare(o.FS, dir); err != nil {
		return nil, err
	}
	l.spares = &spares{segmentFiles: segmentFiles{o.FS}, log: o.Log}
	if o.segmentFS == nil {
		o.segmentFS = l.spares
	}
	meta := &metaStore{fs: o.FS, log: o.Log, clock: o.Clock, sizes: l.sizes, failed: l.failedBehind}
	opened, err := wal.Open(dir,
		wal.WithCodec(l.codec), wal.WithMetaStore(meta), wal.WithLogger(o.WALLog), wal.WithSegmentSize(o.SegmentBytes),
		wal.WithSegmentFiler(&filer{Filer: segment.NewFiler(dir, o.segmentFS), failed: l.failedBehind}))
	if err != nil {
		l.spares.close()
		return nil, classify(dir, "open", err)
	}
	l.wal = opened
	if err := l.undoBootstrap(); err != nil {
		l.spares.close()
		return nil, errors.Join(classify(dir, "open", err), opened.Close())
	}
	l.ahead = newAhead(l.append)
	go l.ahead.run()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened = true
	return l, nil
}

func (o *Options) setDefaults() {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.Appended == nil {
		o.Appended = func(int64) {}
	}
	if o.PaceChanged == nil {
		o.PaceChanged = func() {}
	}
}

// FirstIndex is 0 when the log is empty.
func (l *Log) FirstIndex() (uint64, error) { return l.wal.FirstIndex() }

// LastIndex is 0 when the log is empty. It counts what StoreAhead was given.
func (l *Log) LastIndex() (uint64, error) {
	if last := l.ahead.last(); last != 0 {
		return last, nil
	}
	return l.wal.LastIndex()
}

// IsMonotonic tells Raft to empty the log after it has installed a snapshot, since it takes no gaps.
func (l *Log) IsMonotonic() bool { return true }

// GetLog reads an entry. What it returns was written under that index, or it returns an error: raft.ErrLogNotFound outside
// the log's bounds, *CorruptError for damage.
func (l *Log) GetLog(index uint64, into *raft.Log) error {
	if l.ahead.get(index, into) || l.cache.get(index, into) {
		return nil
	}
	err := l.read(index, into)
	if errors.Is(err, fs.ErrClosed) {
		// Raft-wal may close a segment that is deleted under a reader. The reader looks again: it is gone by now.
		err = l.read(index, into)
	}
	if err == nil && into.Index != index {
		err = errEntry(fmt.Sprintf("entry %d is in the place of entry %d", into.Index, index))
	}
	if err == nil || errors.Is(err, raft.ErrLogNotFound) || errors.Is(err, wal.ErrClosed) {
		return err
	}
	return l.fail(classify(l.dir, fmt.Sprintf("read entry %d", index), err))
}

// read passes over the cache. Raft-wal still gives what was deleted from the beginning of its newest segment.
func (l *Log) read(index uint64, into *raft.Log) error {
	first, err := l.wal.FirstIndex()
	if err != nil {
		return err
	}
	if index < first {
		return raft.ErrLogNotFound
	}
	return l.wal.GetLog(index, into)
}

// StoreLog is StoreLogs of one entry.
func (l *Log) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs appends entries. They are durable when it returns nil. After any error the log takes no further write: the
// kernel may have dropped what an fsync failed to write, and a later fsync would not say so.
func (l *Log) StoreLogs(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	if err := l.Settle(); err != nil {
		return err
	}
	return l.append(entries)
}

// StoreAhead takes entries that follow the log's last, and returns before they are durable. Until they are (Durable,
// AwaitDurable) nobody may be told that they are committed, and nothing may come of them. They can be read at once. After
// an error the log takes no further write.
func (l *Log) StoreAhead(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	if err := l.failure(); err != nil {
		return err
	}
	return l.ahead.add(entries)
}

// Durable is index, or the last durable entry if that is before it.
func (l *Log) Durable(index uint64) uint64 { return l.ahead.durable(index) }

// AwaitDurable returns nil when the log up to index is durable, or the error because of which it never will be.
func (l *Log) AwaitDurable(index uint64) error { return l.ahead.await(index) }

// Settle waits until everything that StoreAhead was given is durable.
func (l *Log) Settle() error { return l.ahead.settle() }

// append makes entries durable.
func (l *Log) append(entries []*raft.Log) error {
	bytes, err := l.store(entries)
	if err != nil {
		return err
	}
	l.options.Appended(bytes)
	return nil
}

func (l *Log) store(entries []*raft.Log) (bytes int64, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.failure(); err != nil {
		return 0, err
	}
	l.codec.batch = entries[0].Index
	done := l.dog.Watch("raft log: append", 0)
	since := l.options.Clock.Now()
	err = l.wal.StoreLogs(entries)
	took := l.options.Clock.Since(since)
	done()
	if err != nil {
		return 0, l.fail(classify(l.dir, "append", err))
	}
	for _, entry := range entries {
		bytes += entryBytes(entry)
	}
	l.pace.took(took)
	l.cache.append(entries)
	l.sizes.append(entries[len(entries)-1].Index, bytes)
	return bytes, nil
}

// Pace is how long an append takes, fsync included: the median of the last ones, told anew when it has changed by a third and
// once a second at most. 0: below 5 ms, or nothing was appended for 30 s.
func (l *Log) Pace() time.Duration { return l.pace.now() }

// DeleteRange removes the beginning or the end of the log, durably.
func (l *Log) DeleteRange(minimum, maximum uint64) error {
	if err := l.Settle(); err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.failure(); err != nil {
		return err
	}
	l.cache.remove(minimum, maximum)
	done := l.dog.Watch("raft log: delete", 0)
	err := l.wal.DeleteRange(minimum, maximum)
	done()
	if err != nil {
		return l.fail(classify(l.dir, fmt.Sprintf("delete %d to %d", minimum, maximum), err))
	}
	return l.recount(minimum, maximum)
}

// recount brings sizes up to date after a deletion.
func (l *Log) recount(minimum, maximum uint64) error {
	first, err := l.wal.FirstIndex()
	if err != nil {
		return err
	}
	switch last, err := l.wal.LastIndex(); {
	case err != nil:
		return err
	case last == 0:
		l.sizes.startAt(maximum)
	case first > maximum:
		l.sizes.cutBefore(first - 1)
	case last < minimum:
		l.sizes.cutAfter(last)
	}
	return nil
}

// BytesSince is, nearly, the size on disk of the entries after index.
func (l *Log) BytesSince(index uint64) int64 { return l.sizes.since(index) }

// TrailingEntries is, nearly, how many of the newest entries have together at most that size.
func (l *Log) TrailingEntries(bytes int64) uint64 { return l.sizes.trailing(bytes) }

// Close waits for a write under way, and for what StoreAhead was given.
func (l *Log) Close() error {
	l.ahead.close()
	l.writing.Lock()
	defer l.writing.Unlock()
	l.pace.close()
	l.spares.close()
	return l.wal.Close()
}

// fail notes the first failure and tells OnFailure of it. It returns the first one: what fails after it follows from it.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	first := l.failed == nil
	if first {
		l.failed = err
	}
	err = l.failed
	l.mu.Unlock()
	if first {
		l.options.OnFailure(err)
	}
	return err
}

// failedBehind takes failures of raft-wal's own goroutine, which it only logs. While opening, Open reports them.
func (l *Log) failedBehind(err error) {
	l.mu.Lock()
	opened := l.opened
	l.mu.Unlock()
	if opened {
		_ = l.fail(err)
	}
}

func (l *Log) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

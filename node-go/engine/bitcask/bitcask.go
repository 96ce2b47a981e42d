// Package bitcask is the storage engine: values in append-only segments on disk, an ordered key directory in memory, one
// pread for a Get, one write for a batch. Sheehy and Smith, "Bitcask: a log-structured hash table for fast key/value data",
// 2010, with what a replicated state machine needs beside it: atomic batches that carry the applied index, consistent views,
// and a manifest that says what was promised to be durable.
//
// How it holds together:
//
//	MANIFEST -> sealed segments (complete, fsynced, with a hint file each) -> head (fsynced up to a point) -> log segments
//	that continue the head (nothing promised).
//
// Damage in what was promised is reported and nothing is touched. Damage in what was not promised is a torn tail and is
// cut: the raft log has it. See ../DESIGN.md for the crash points.
package bitcask

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"kvorum/node/clock"
	"kvorum/node/engine"
	"kvorum/node/vfs"
)

// Engine implements engine.Engine.
//
// Locks, in the order in which they are taken: maintenance (one merge at a time), slot (one writer of the manifest), writeMu
// (one writer of the head), mu (the published state). No fsync happens under mu; none under writeMu but in Restore, whose
// caller is the writer.
type Engine struct {
	dir     string
	fs      vfs.FS
	options Options
	log     *slog.Logger
	clock   clock.Clock
	lock    io.Closer
	handles *handles

	maintenance mutex
	slot        mutex
	manifest    *manifest // the newest one on disk; guarded by the slot
	synced      atomic.Uint64
	syncedEnd   atomic.Int64 // value of `written` at the last Sync

	writeMu sync.Mutex
	head    *segment // the last one of version
	encoder batchEncoder
	places  []uint32 // offsets of the puts of the batch being applied
	written atomic.Int64
	// writtenBack is the value of `written` at the last WriteBack.
	writtenBack int64

	mu         sync.RWMutex
	keydir     *keydir
	version    *version // nil after Close
	applied    uint64
	nextID     uint32
	generation uint64 // grows with each Restore

	obsoleteBytes atomic.Int64 // of files that only readers hold
	merges        atomic.Uint64
	failure       atomic.Pointer[error]
	damage        atomic.Pointer[engine.CorruptError] // the first that was met

	wake       chan struct{}
	life       context.Context // ends with Close
	end        context.CancelFunc
	keeperDone chan struct{}
}

var _ engine.Engine = (*Engine)(nil)

// Apply is one write to the head, then one step in memory.
func (e *Engine) Apply(b *engine.Batch) error {
	e.writeMu.Lock()
	defer e.writeMu.Unlock()
	if err := e.broken(); err != nil {
		return err
	}
	if err := b.Check(e.Applied()); err != nil {
		return err
	}
	if err := e.writeBatch(b); err != nil {
		return err
	}
	e.publishBatch(b)
	written := e.written.Load()
	if written-e.syncedEnd.Load() >= e.options.SyncBytes {
		e.wakeKeeper()
	}
	if written-e.writtenBack >= writeBackBytes {
		e.writtenBack = written
		if err := e.head.writer.WriteBack(); err != nil {
			return e.fail(opSync, e.head.path, err)
		}
	}
	return nil
}

// Applied is the index of the newest applied batch.
func (e *Engine) Applied() uint64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.applied
}

// Synced is the index up to which everything is durable.
func (e *Engine) Synced() uint64 { return e.synced.Load() }

// Get is one pread.
func (e *Engine) Get(key []byte) (engine.Record, bool, error) {
	if err := e.broken(); err != nil {
		return engine.Record{}, false, err
	}
	e.mu.RLock()
	if e.version == nil {
		e.mu.RUnlock()
		return engine.Record{}, false, engine.ErrClosed
	}
	at, found := e.keydir.get(key)
	if !found {
		e.mu.RUnlock()
		return engine.Record{}, false, nil
	}
	v := e.version.pin()
	e.mu.RUnlock()
	defer v.unpin()
	r, err := e.read(v, at, unsafeString(key), make([]byte, at.size))
	return r, err == nil, err
}

// Version is a look into the key directory, but for a key that was written 2^32 times.
func (e *Engine) Version(key []byte) (uint64, bool, error) {
	if err := e.broken(); err != nil {
		return 0, false, err
	}
	e.mu.RLock()
	if e.version == nil {
		e.mu.RUnlock()
		return 0, false, engine.ErrClosed
	}
	at, found := e.keydir.get(key)
	e.mu.RUnlock()
	if at.version == versionInRecord {
		r, found, err := e.Get(key)
		return r.Version, found, err
	}
	return uint64(at.version), found, nil
}

// View pins the segments and copies the root of the key directory.
func (e *Engine) View() (engine.View, error) {
	if err := e.broken(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.version == nil {
		return nil, engine.ErrClosed
	}
	return &view{engine: e, version: e.version.pin(), keydir: e.keydir.copy(), applied: e.applied}, nil
}

// Stats describes the engine now.
func (e *Engine) Stats() engine.Stats {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s := engine.Stats{
		Applied: e.applied, Synced: e.synced.Load(), Merges: e.merges.Load(), TotalBytes: e.obsoleteBytes.Load(),
	}
	if e.version == nil {
		return s
	}
	s.Keys, s.LiveBytes, s.KeydirBytes = e.keydir.len(), e.keydir.live, e.keydir.memoryBytes()
	s.Segments = len(e.version.segments)
	for _, segment := range e.version.segments {
		s.TotalBytes += segment.bytes
		s.DeadBytes += segment.dead()
	}
	return s
}

// Close ends a merge that runs and the keeper, then everything else.
func (e *Engine) Close() error {
	e.end()
	<-e.keeperDone
	e.maintenance.lock()
	defer e.maintenance.unlock()
	e.slot.lock()
	defer e.slot.unlock()
	e.writeMu.Lock()
	defer e.writeMu.Unlock()

	e.mu.Lock()
	v := e.version
	e.version = nil
	e.mu.Unlock()
	if v == nil {
		return engine.ErrClosed
	}
	closed := error(engine.ErrClosed)
	e.failure.CompareAndSwap(nil, &closed)
	err := closeWriters(v.segments)
	v.unpin()
	if lockErr := e.lock.Close(); err == nil {
		err = lockErr
	}
	return err
}

// read returns the record that an entry of the key directory promises. to has the entry's size; the record's slices are in it.
func (e *Engine) read(v *version, at entry, key string, to []byte) (engine.Record, error) {
	s := v.byID[at.segment]
	if err := e.handles.readAt(s, to, int64(at.offset)); err != nil {
		return engine.Record{}, e.readFailed(s, int64(at.offset), err)
	}
	r, reason := decodePut(to, s.id, at.offset)
	if reason == "" && string(r.key) != key {
		reason = "record of another key"
	}
	if reason != "" {
		return engine.Record{}, e.damaged(s, int64(at.offset), reason)
	}
	return r.engineRecord(), nil
}

// mutex is a sync.Mutex for which one can stop waiting.
type mutex chan struct{}

func newMutex() mutex { return make(mutex, 1) }

func (m mutex) lock() { m <- struct{}{} }

func (m mutex) unlock() { <-m }

func (m mutex) lockContext(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case m <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func closeWriters(segments []*segment) error {
	var first error
	for _, s := range segments {
		if s.writer == nil {
			continue
		}
		if err := s.writer.Close(); err != nil && first == nil {
			first = fmt.Errorf("close %s: %w", s.path, err)
		}
		s.writer = nil
	}
	return first
}

package bitcask

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"kvorum/node/engine"
	"kvorum/node/vfs"
)

// Sync fsyncs the head and the segments before it that are not durable yet, then moves the manifest's point.
func (e *Engine) Sync(ctx context.Context) (uint64, error) {
	if err := e.slot.lockContext(ctx); err != nil {
		return 0, err
	}
	defer e.slot.unlock()
	if err := e.broken(); err != nil {
		return 0, err
	}
	point := e.syncPoint()
	if point.manifest.equal(e.manifest) {
		return e.manifest.applied, nil
	}
	for _, s := range point.dirty {
		if err := s.writer.Sync(); err != nil {
			return 0, e.fail(opSync, s.path, err)
		}
	}
	if err := e.install(&point.manifest); err != nil {
		return 0, err
	}
	e.syncedEnd.Store(point.written)
	e.sealed(point.dirty[:len(point.dirty)-1])
	return point.manifest.applied, nil
}

// syncPoint is what a Sync is going to promise. The head may grow meanwhile: that is left to the next one.
type syncPoint struct {
	manifest manifest
	dirty    []*segment // not durable yet, the head last
	written  int64
}

// syncPoint needs the slot. It takes writeMu so that no rotation is half-way: a log segment that the manifest does not
// list must have an id of at least its nextID.
func (e *Engine) syncPoint() syncPoint {
	e.writeMu.Lock()
	defer e.writeMu.Unlock()
	e.mu.RLock()
	defer e.mu.RUnlock()
	var dirty []*segment
	for _, s := range e.version.segments {
		if s.writer != nil {
			dirty = append(dirty, s)
		}
	}
	m := manifest{nextID: e.nextID, applied: e.applied, sealed: append([]manifestSegment(nil), e.manifest.sealed...)}
	for _, s := range dirty[:len(dirty)-1] {
		m.sealed = append(m.sealed, manifestSegment{id: s.id, bytes: uint32(s.bytes)})
	}
	head := dirty[len(dirty)-1]
	m.headID, m.headEnd = head.id, uint32(head.bytes)
	return syncPoint{manifest: m, dirty: dirty, written: e.written.Load()}
}

// sealed closes the writers of segments that have just become durable and will not grow. It needs the slot.
func (e *Engine) sealed(segments []*segment) {
	for _, s := range segments {
		if err := s.writer.Close(); err != nil {
			e.log.Warn("close", "path", s.path, "error", err)
		}
		s.writer = nil
	}
}

// install makes m the manifest, in one step and durably. Files that it lists must have been fsynced. It needs the slot. If
// it fails before the rename, the engine goes on with the manifest it had; afterwards nobody knows which one the disk has.
func (e *Engine) install(m *manifest) error {
	path := filepath.Join(e.dir, manifestName)
	if err := e.writeSide(path+vfs.TempSuffix, m.encode()); err != nil {
		return err
	}
	// The names it lists must be durable before it is.
	if err := e.fs.SyncDir(e.dir); err != nil {
		return e.fail(opSync, e.dir, err)
	}
	if err := e.fs.Rename(path+vfs.TempSuffix, path); err != nil {
		return e.fail("rename", path, err)
	}
	if err := e.fs.SyncDir(e.dir); err != nil {
		return e.fail(opSync, e.dir, err)
	}
	e.manifest = m
	e.synced.Store(m.applied)
	return nil
}

// writeSide writes a file that nothing refers to yet, and fsyncs it. Without space it fails and leaves no trace.
func (e *Engine) writeSide(path string, data []byte) error {
	file, err := e.fs.Create(path)
	if err != nil {
		return &engine.IOError{Op: "create", Path: path, Err: err}
	}
	if err := writeAll(file, data); err != nil {
		err = &engine.IOError{Op: "write", Path: path, Err: errors.Join(err, file.Close())}
		e.removeSide(path)
		return err
	}
	if err := file.Sync(); err != nil {
		_ = file.Close() // the engine is broken already
		return e.fail(opSync, path, err)
	}
	if err := file.Close(); err != nil {
		return &engine.IOError{Op: "close", Path: path, Err: err}
	}
	return nil
}

func (e *Engine) removeSide(path string) {
	if err := e.fs.Remove(path); err != nil && !isNotExist(err) {
		e.log.Warn("cannot remove a file that is not needed", "path", path, "error", err)
	}
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

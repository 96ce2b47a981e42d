package bitcask

import (
	"context"
	"errors"
	"io"

	"kvorum/node/engine"
	"kvorum/node/vfs"
)

// keep runs on the engine's one goroutine: it makes durable what has gathered, writes hint files and merges, whenever a
// segment is full or enough bytes are not durable. A failure that matters breaks the engine; of the others the log tells,
// and the next wake tries again.
func (e *Engine) keep(ctx context.Context) {
	defer close(e.keeperDone)
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		}
		if err := e.tend(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("engine upkeep", "error", err)
		}
	}
}

func (e *Engine) tend(ctx context.Context) error {
	if _, err := e.Sync(ctx); err != nil {
		return err
	}
	if err := e.writeHints(ctx); err != nil {
		return err
	}
	if !e.worthMerging() {
		return nil
	}
	return e.merge(ctx)
}

// writeHints makes the hint files that sealed segments lack. Each of them is read as a whole and checked on the way.
func (e *Engine) writeHints(ctx context.Context) error {
	if err := e.maintenance.lockContext(ctx); err != nil {
		return err
	}
	defer e.maintenance.unlock()
	v, err := e.pinVersion()
	if err != nil {
		return err
	}
	defer v.unpin()
	for _, s := range v.segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.hinted || s == v.head() || !e.isSealed(s) {
			continue
		}
		if err := e.writeHint(s); err != nil {
			return err
		}
		s.hinted = true
	}
	return nil
}

// isSealed says that the manifest lists the segment as complete.
func (e *Engine) isSealed(s *segment) bool {
	e.slot.lock()
	defer e.slot.unlock()
	for _, listed := range e.manifest.sealed {
		if listed.id == s.id {
			return true
		}
	}
	return false
}

func (e *Engine) writeHint(s *segment) error {
	x, err := e.handles.acquire(s)
	if err != nil {
		return e.readFailed(s, 0, err)
	}
	hint, err := e.buildHint(s, x.file)
	if err := errors.Join(err, e.handles.release(x)); err != nil {
		return err
	}
	return e.installHint(s.id, hint)
}

func (e *Engine) buildHint(s *segment, file vfs.File) ([]byte, error) {
	header, err := readSegmentHeader(file, s.id)
	if err != nil {
		return nil, e.scanDamaged(s, err)
	}
	batches := scanBatches(file, header, segmentHeaderBytes, s.bytes, header.prevApplied)
	var hint hintBuilder
	hint.reset()
	for {
		r, err := batches.next()
		if errors.Is(err, io.EOF) {
			return hint.finish(s.id, uint32(s.bytes), uint32(overheadOf(header.kind, batches.commits))), nil
		}
		if err != nil {
			return nil, e.scanDamaged(s, err)
		}
		if r.kind != kindCommit {
			hint.add(r.kind, r.key, r.offset, r.size, shorten(r.version))
		}
	}
}

// installHint needs no fsync of the directory: a hint that a crash takes away is made again.
func (e *Engine) installHint(id uint32, hint []byte) error {
	path := hintPath(e.dir, id)
	if err := e.writeSide(path+vfs.TempSuffix, hint); err != nil {
		return err
	}
	if err := e.fs.Rename(path+vfs.TempSuffix, path); err != nil {
		e.removeSide(path + vfs.TempSuffix)
		return &engine.IOError{Op: "rename", Path: path, Err: err}
	}
	return nil
}

func (e *Engine) pinVersion() (*version, error) {
	if err := e.broken(); err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.version == nil {
		return nil, engine.ErrClosed
	}
	return e.version.pin(), nil
}

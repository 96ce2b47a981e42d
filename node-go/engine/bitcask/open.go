package bitcask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"kvorum/node/engine"
	"kvorum/node/vfs"
)

// Open opens the engine in dir, or makes a new one in an empty or absent dir. Damage in what was promised to be durable is
// *engine.CorruptError, and nothing is changed; a directory in use is *vfs.LockedError. Everything that an open engine
// starts with is durable.
func Open(dir string, o Options) (*Engine, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("bitcask options: %w", err)
	}
	lock, err := lockDir(o.FS, dir)
	if err != nil {
		return nil, err
	}
	e, err := open(dir, o, lock)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return e, nil
}

// lockDir also makes the directory itself durable.
func lockDir(fs vfs.FS, dir string) (io.Closer, error) {
	if err := fs.MkdirAll(dir); err != nil {
		return nil, &engine.IOError{Op: "mkdir", Path: dir, Err: err}
	}
	if err := fs.SyncDir(filepath.Dir(dir)); err != nil {
		// If it is new and empty, the next try makes it anew: a second fsync of this one would prove nothing.
		_ = fs.Remove(dir)
		return nil, &engine.IOError{Op: opSync, Path: filepath.Dir(dir), Err: err}
	}
	path := filepath.Join(dir, lockName)
	lock, err := fs.Lock(path)
	if locked := (*vfs.LockedError)(nil); errors.As(err, &locked) {
		return nil, err
	}
	if err != nil {
		return nil, &engine.IOError{Op: "lock", Path: path, Err: err}
	}
	return lock, nil
}

func open(dir string, o Options, lock io.Closer) (*Engine, error) {
	start := o.Clock.Now()
	found, err := recoverContents(o.FS, dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		dir: dir, fs: o.FS, options: o, log: o.Log, clock: o.Clock, lock: lock,
		handles: newHandles(o.FS, o.OpenFiles), slot: newMutex(), maintenance: newMutex(), wake: make(chan struct{}, 1),
		keydir: found.keydir, applied: found.applied, keeperDone: make(chan struct{}),
	}
	if err := e.settle(found); err != nil {
		return nil, errors.Join(err, closeWriters(found.segments))
	}
	for _, s := range e.version.segments {
		s.hinted = found.hinted[s.id]
	}
	e.log.Info("engine open", "dir", dir, "applied", e.applied, "keys", e.keydir.len(),
		"segments", len(e.version.segments), "cut", found.cut, "took", o.Clock.Since(start))
	e.startKeeper()
	return e, nil
}

// settle makes the disk agree with what was found: the tail cut and fsynced, a head to write to, a manifest that says so,
// and no other files. A crash in here leaves what the next recovery reads the same way.
func (e *Engine) settle(found *recovery) error {
	e.nextID = max(1, found.files.greatest+1)
	garbage := len(found.files.leftover) > 0
	if found.manifest != nil {
		e.nextID = max(e.nextID, found.manifest.nextID)
		garbage = len(found.garbage()) > 0
	}
	if len(found.tail) == 0 {
		if err := e.settleNewHead(found); err != nil {
			return err
		}
	} else if err := e.settleTail(found, garbage); err != nil {
		return err
	}
	e.version = newVersion(found.segments, e.release)
	e.head = e.version.head()
	if found.manifest != nil && garbage {
		for _, name := range found.garbage() {
			e.removeSide(filepath.Join(e.dir, name))
		}
	}
	return nil
}

// settleNewHead installs a manifest before the head that it names exists: so a segment never is older than the manifest. The
// head's id is new, whatever may be left of an earlier try.
func (e *Engine) settleNewHead(found *recovery) error {
	m := &manifest{applied: found.applied, headID: e.takeID()}
	m.nextID = e.nextID
	if found.manifest != nil {
		m.sealed = found.manifest.sealed
	}
	if err := e.install(m); err != nil {
		return err
	}
	head, err := e.createHead(segmentHeader{kind: kindLog, id: m.headID, prevApplied: found.applied})
	if err != nil {
		return err
	}
	found.add(head)
	return nil
}

// settleTail makes the tail durable and the manifest say so. Nothing is written when it says so already.
func (e *Engine) settleTail(found *recovery, garbage bool) error {
	head := found.tail[len(found.tail)-1]
	m := &manifest{
		nextID: e.nextID, applied: found.applied, headID: head.id, headEnd: uint32(head.bytes),
		sealed: append([]manifestSegment(nil), found.manifest.sealed...),
	}
	for _, s := range found.tail[:len(found.tail)-1] {
		m.sealed = append(m.sealed, manifestSegment{id: s.id, bytes: uint32(s.bytes)})
	}
	for _, s := range found.tail {
		writer, err := e.fs.OpenAppend(s.path)
		if err != nil {
			return &engine.IOError{Op: "open", Path: s.path, Err: err}
		}
		s.writer = writer
	}
	if found.cut {
		e.log.Warn("torn tail cut; the raft log has the rest", "path", head.path, "offset", head.bytes, "applied", found.applied)
		if err := head.writer.Truncate(head.bytes); err != nil {
			return &engine.IOError{Op: "truncate", Path: head.path, Err: err}
		}
	}
	if !found.cut && !garbage && m.equal(found.manifest) {
		e.manifest = found.manifest
		e.synced.Store(m.applied)
		return nil
	}
	for _, s := range found.tail {
		if err := s.writer.Sync(); err != nil {
			return e.fail(opSync, s.path, err)
		}
	}
	if err := e.install(m); err != nil {
		return err
	}
	e.sealed(found.tail[:len(found.tail)-1])
	return nil
}

// startKeeper starts the goroutine that does what nobody has to wait for. Close stops it.
func (e *Engine) startKeeper() {
	e.life, e.end = context.WithCancel(context.Background())
	if e.options.Idle {
		close(e.keeperDone)
		return
	}
	go e.keep(e.life)
	e.wakeKeeper()
}

func (e *Engine) wakeKeeper() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

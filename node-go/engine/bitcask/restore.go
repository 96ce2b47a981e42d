package bitcask

import (
	"errors"
	"io"

	"kvorum/node/engine"
)

// Restore writes the stream into packed segments beside the present ones, then swaps the manifest. Until the swap, a
// failure or a crash leaves only files that nothing lists.
func (e *Engine) Restore(r io.Reader) (uint64, error) {
	if err := e.broken(); err != nil {
		return 0, err
	}
	stream, err := engine.NewStreamReader(r)
	if err != nil {
		return 0, err
	}
	pack := e.newPacker(stream.Applied())
	fresh, err := receive(stream, pack)
	if err != nil {
		pack.abandon()
		return 0, err
	}
	if err := e.swap(fresh, pack, stream.Applied()); err != nil {
		return 0, err
	}
	return stream.Applied(), nil
}

// receive reads the stream to its checked end.
func receive(stream *engine.StreamReader, pack *packer) (*keydir, error) {
	fresh := newKeydir()
	for {
		r, err := stream.Next()
		if errors.Is(err, io.EOF) {
			return fresh, pack.finish()
		}
		if err != nil {
			return nil, err
		}
		at, err := pack.add(r)
		if err != nil {
			return nil, err
		}
		fresh.set(string(r.Key), at)
		pack.current.live += int64(at.size)
	}
}

// swap makes what was received the engine's content, on disk and then in memory.
func (e *Engine) swap(fresh *keydir, pack *packer, applied uint64) error {
	e.slot.lock()
	defer e.slot.unlock()
	e.writeMu.Lock()
	defer e.writeMu.Unlock()
	if err := e.broken(); err != nil {
		return err
	}
	segments := pack.segments()
	m := &manifest{applied: applied, headID: e.takeID(), sealed: listed(segments)}
	e.mu.RLock()
	m.nextID = e.nextID
	e.mu.RUnlock()
	if err := e.install(m); err != nil {
		if e.broken() == nil {
			pack.abandon()
		}
		return err
	}
	head, err := e.createHead(segmentHeader{kind: kindLog, id: m.headID, prevApplied: applied})
	if err != nil {
		return e.fail("create", segmentPath(e.dir, m.headID), err)
	}
	e.publishRestored(fresh, append(segments, head), applied)
	return nil
}

// publishRestored needs the slot and writeMu.
func (e *Engine) publishRestored(fresh *keydir, segments []*segment, applied uint64) {
	e.mu.Lock()
	before := e.version
	e.version = newVersion(segments, e.release)
	e.keydir, e.applied = fresh, applied
	e.generation++
	e.mu.Unlock()
	e.head = segments[len(segments)-1]
	e.syncedEnd.Store(e.written.Load())
	if err := closeWriters(before.segments); err != nil {
		e.log.Warn("close", "error", err)
	}
	for _, s := range before.segments {
		e.makeObsolete(s)
	}
	before.unpin()
}

// makeObsolete lets a segment's files go with its last reader. A manifest without it must be durable.
func (e *Engine) makeObsolete(s *segment) {
	if s.obsolete.CompareAndSwap(false, true) {
		e.obsoleteBytes.Add(s.bytes)
	}
}

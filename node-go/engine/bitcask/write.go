package bitcask

import (
	"errors"
	"io"

	"kvorum/node/engine"
)

// writeBackBytes are begun to be written to the disk at a time. The disk is also the raft log's: the fsync of 8 MiB at once
// held its fsyncs up for 10 ms.
const writeBackBytes = 256 << 10

// encoderKeepBytes bounds the buffer that is kept between batches.
const encoderKeepBytes = 4 << 20

// writeBatch appends the batch to the head in one write. It needs writeMu. If it fails, the file may hold a part of the
// batch: without the commit, which recovery cuts.
func (e *Engine) writeBatch(b *engine.Batch) error {
	size := encodedBytes(b)
	if e.head.bytes+size > e.options.SegmentBytes && e.head.bytes > segmentHeaderBytes {
		if err := e.rotate(); err != nil {
			return e.fail("create", e.dir, err)
		}
	}
	e.encodeBatch(b)
	if err := writeAll(e.head.writer, e.encoder.buffer); err != nil {
		return e.fail("write", e.head.path, err)
	}
	return nil
}

func encodedBytes(b *engine.Batch) int64 {
	size := int64(recordHeaderBytes)
	for i := range b.Ops() {
		r := &b.Ops()[i].Record
		size += int64(recordBytes(len(r.Key), len(r.Value)))
	}
	return size
}

func (e *Engine) encodeBatch(b *engine.Batch) {
	if cap(e.encoder.buffer) > encoderKeepBytes {
		e.encoder.buffer = nil
	}
	e.encoder.reset(e.head.id, uint32(e.head.bytes))
	e.places = e.places[:0]
	for i := range b.Ops() {
		op := &b.Ops()[i]
		if op.Delete {
			e.encoder.delete(op.Record.Key, b.Index)
			continue
		}
		e.places = append(e.places, e.encoder.put(op.Record, b.Index))
	}
	e.encoder.commit(b.Index)
}

// publishBatch makes a written batch visible, in one step. It needs writeMu.
func (e *Engine) publishBatch(b *engine.Batch) {
	head, places := e.head, e.places
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range b.Ops() {
		op := &b.Ops()[i]
		if op.Delete {
			old, deleted := e.keydir.delete(op.Record.Key)
			e.forget(old, deleted)
			continue
		}
		size := recordBytes(len(op.Record.Key), len(op.Record.Value))
		at := entry{segment: head.id, offset: places[0], size: uint32(size), version: shorten(op.Record.Version)}
		places = places[1:]
		old, replaced := e.keydir.set(string(op.Record.Key), at)
		e.forget(old, replaced)
		head.live += int64(at.size)
	}
	head.bytes += int64(len(e.encoder.buffer))
	e.written.Add(int64(len(e.encoder.buffer)))
	e.applied = b.Index
}

// forget counts a record as dead that the key directory referred to. It needs mu.
func (e *Engine) forget(old entry, existed bool) {
	if existed {
		e.version.byID[old.segment].live -= int64(old.size)
	}
}

// rotate begins a new head. The old one stays open until Sync has made it durable: nothing waits for that here. It needs
// writeMu.
func (e *Engine) rotate() error {
	old := e.head
	next, err := e.createHead(segmentHeader{
		kind: kindLog, id: e.takeID(), prevID: old.id, prevEnd: uint32(old.bytes), prevApplied: e.Applied(),
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	before := e.version
	segments := append(append([]*segment(nil), before.segments...), next)
	e.version = newVersion(segments, e.release)
	e.mu.Unlock()
	before.unpin()
	e.head = next
	e.wakeKeeper()
	return nil
}

// createHead leaves no trace when it fails.
func (e *Engine) createHead(header segmentHeader) (*segment, error) {
	path := segmentPath(e.dir, header.id)
	file, err := e.fs.Create(path)
	if err != nil {
		return nil, &engine.IOError{Op: "create", Path: path, Err: err}
	}
	if err := writeAll(file, header.encode()); err != nil {
		err = errors.Join(err, file.Close())
		e.removeSide(path)
		return nil, &engine.IOError{Op: "write", Path: path, Err: err}
	}
	return &segment{
		id: header.id, kind: kindLog, path: path, writer: file,
		bytes: segmentHeaderBytes, overhead: segmentHeaderBytes,
	}, nil
}

func (e *Engine) takeID() uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	id := e.nextID
	e.nextID++
	return id
}

// release is called when no version holds a segment any more: nobody reads it.
func (e *Engine) release(s *segment) {
	if err := e.handles.drop(s); err != nil {
		e.log.Warn("close", "path", s.path, "error", err)
	}
	if !s.obsolete.Load() {
		return
	}
	e.removeFiles(s.id)
	e.obsoleteBytes.Add(-s.bytes)
}

// removeFiles gives the space of a segment back that no manifest lists. What is left after a failure or a crash is removed
// by the next Open.
func (e *Engine) removeFiles(id uint32) {
	for _, path := range []string{segmentPath(e.dir, id), hintPath(e.dir, id)} {
		if err := e.fs.Remove(path); err != nil && !isNotExist(err) {
			e.log.Warn("cannot remove a file that is not needed", "path", path, "error", err)
		}
	}
}

func writeAll(to io.Writer, data []byte) error {
	n, err := to.Write(data)
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	return err
}

package bitcask

import (
	"kvorum/node/engine"
	"kvorum/node/vfs"
)

const (
	packChunkBytes = 1 << 20
	// packSyncBytes are fsynced at a time, so that the raft log on the same disk never waits behind a whole segment.
	packSyncBytes = 8 << 20
)

// packer writes packed segments: files that nothing refers to until a manifest lists them. Not safe for concurrent use.
type packer struct {
	engine  *Engine
	applied uint64 // index of the commits: not below that of any record
	done    []*packed
	current *packed
	encoder batchEncoder
}

// packed is a segment that a packer wrote, and its hint.
type packed struct {
	*segment
	file     vfs.File
	hint     hintBuilder
	unsynced int64
}

func (e *Engine) newPacker(applied uint64) *packer { return &packer{engine: e, applied: applied} }

// add returns where the record will lie.
func (p *packer) add(r engine.Record) (entry, error) {
	size := recordBytes(len(r.Key), len(r.Value))
	if err := p.makeRoom(int64(size)); err != nil {
		return entry{}, err
	}
	offset := p.encoder.put(r, r.Index)
	p.current.hint.add(kindPut, r.Key, offset, uint32(size), shorten(r.Version))
	return entry{segment: p.current.id, offset: offset, size: uint32(size), version: shorten(r.Version)}, nil
}

// finish makes all of it durable, but for the names.
func (p *packer) finish() error {
	if p.current == nil {
		return nil
	}
	if err := p.flush(); err != nil {
		return err
	}
	c := p.current
	if err := p.sync(); err != nil {
		return err
	}
	c.writer = nil
	err := c.file.Close()
	c.file = nil
	if err != nil {
		return &engine.IOError{Op: "close", Path: c.path, Err: err}
	}
	content := c.hint.finish(c.id, uint32(c.bytes), uint32(c.overhead))
	if err := p.engine.installHint(c.id, content); err != nil {
		return err
	}
	c.hinted = true
	p.done, p.current = append(p.done, c), nil
	return nil
}

// abandon removes what was written.
func (p *packer) abandon() {
	if p.current != nil {
		if p.current.file != nil {
			_ = p.current.file.Close() // nothing in it is wanted
		}
		p.engine.removeFiles(p.current.id)
	}
	for _, s := range p.done {
		p.engine.removeFiles(s.id)
	}
}

// makeRoom begins a new segment, or a new chunk of the present one, before a record that does not fit.
func (p *packer) makeRoom(size int64) error {
	if c := p.current; c != nil {
		if c.bytes+int64(len(p.encoder.buffer))+size+recordHeaderBytes > p.engine.options.SegmentBytes {
			if err := p.finish(); err != nil {
				return err
			}
		} else if len(p.encoder.buffer) >= packChunkBytes {
			return p.flush()
		}
	}
	if p.current != nil {
		return nil
	}
	return p.begin()
}

func (p *packer) begin() error {
	id := p.engine.takeID()
	path := segmentPath(p.engine.dir, id)
	file, err := p.engine.fs.Create(path)
	if err != nil {
		return &engine.IOError{Op: "create", Path: path, Err: err}
	}
	s := &segment{id: id, kind: kindPacked, path: path, bytes: segmentHeaderBytes, overhead: segmentHeaderBytes}
	p.current = &packed{segment: s, file: file}
	p.current.hint.reset()
	p.encoder.reset(id, segmentHeaderBytes)
	if err := writeAll(file, segmentHeader{kind: kindPacked, id: id}.encode()); err != nil {
		return &engine.IOError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// flush writes the chunk as one batch.
func (p *packer) flush() error {
	c := p.current
	if len(p.encoder.buffer) == 0 {
		return nil
	}
	p.encoder.commit(p.applied)
	if err := writeAll(c.file, p.encoder.buffer); err != nil {
		return &engine.IOError{Op: "write", Path: c.path, Err: err}
	}
	written := int64(len(p.encoder.buffer))
	c.bytes += written
	c.overhead += recordHeaderBytes
	c.unsynced += written
	p.encoder.reset(c.id, uint32(c.bytes))
	if c.unsynced < packSyncBytes {
		return nil
	}
	return p.sync()
}

func (p *packer) sync() error {
	if err := p.current.file.Sync(); err != nil {
		return p.engine.fail(opSync, p.current.path, err)
	}
	p.current.unsynced = 0
	return nil
}

func (p *packer) segments() []*segment {
	list := make([]*segment, len(p.done))
	for i, s := range p.done {
		list[i] = s.segment
	}
	return list
}

func listed(segments []*segment) []manifestSegment {
	list := make([]manifestSegment, len(segments))
	for i, s := range segments {
		list[i] = manifestSegment{id: s.id, bytes: uint32(s.bytes)}
	}
	return list
}

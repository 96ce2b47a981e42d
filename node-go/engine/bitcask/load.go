package bitcask

import (
	"errors"
	"fmt"
	"io"

	"kvorum/node/engine"
	"kvorum/node/vfs"
)

// contents is what recovery gathers: the key directory, and the segments with their account of live bytes.
type contents struct {
	fs       vfs.FS
	dir      string
	keydir   *keydir
	segments []*segment
	byID     map[uint32]*segment
	applied  uint64
}

func newContents(fs vfs.FS, dir string) *contents {
	return &contents{fs: fs, dir: dir, keydir: newKeydir(), byID: map[uint32]*segment{}}
}

func (c *contents) add(s *segment) {
	c.segments = append(c.segments, s)
	c.byID[s.id] = s
}

// set replays one record. Segments come in the order in which their records supersede each other.
func (c *contents) set(s *segment, p placed) {
	var old entry
	var existed bool
	if p.delete {
		old, existed = c.keydir.delete([]byte(p.key))
	} else {
		old, existed = c.keydir.set(p.key, entry{segment: s.id, offset: p.offset, size: p.size, version: p.version})
		s.live += int64(p.size)
	}
	if existed {
		c.byID[old.segment].live -= int64(old.size)
	}
}

// loadSealed reads a listed segment: its hint if that is good, the whole of it otherwise.
func (c *contents) loadSealed(listed manifestSegment) (hinted bool, err error) {
	path := segmentPath(c.dir, listed.id)
	file, header, err := openSegment(c.fs, path, listed.id)
	if err != nil {
		return false, scanFailed(path, err)
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return false, scanFailed(path, err)
	}
	if size != int64(listed.bytes) {
		reason := fmt.Sprintf("file has %d bytes instead of %d", size, listed.bytes)
		return false, &engine.CorruptError{Path: path, Offset: min(size, int64(listed.bytes)), Reason: reason}
	}
	s := &segment{id: listed.id, kind: header.kind, path: path, bytes: size}
	c.add(s)
	if c.loadHint(s) {
		return true, nil
	}
	return false, c.loadRecords(s, file, header, size)
}

func (c *contents) loadHint(s *segment) bool {
	data, err := vfs.ReadFile(c.fs, hintPath(c.dir, s.id), s.bytes+hintHeaderBytes+4)
	if err != nil {
		return false
	}
	hint, reason := decodeHint(data, s.id, uint32(s.bytes))
	if reason != "" {
		return false
	}
	s.overhead = int64(hint.overhead)
	hint.each(func(p placed) { c.set(s, p) })
	return true
}

func (c *contents) loadRecords(s *segment, file io.ReaderAt, header segmentHeader, end int64) error {
	batches := scanBatches(file, header, segmentHeaderBytes, end, header.prevApplied)
	if err := c.replay(s, batches); err != nil {
		return scanFailed(s.path, err)
	}
	s.overhead = overheadOf(header.kind, batches.commits)
	return nil
}

// replay takes over whole batches until the scan ends; nil means that it ended where it should.
func (c *contents) replay(s *segment, batches *batchScanner) error {
	var batch []placed
	for {
		r, err := batches.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if r.kind != kindCommit {
			batch = append(batch, placed{
				key: string(r.key), offset: r.offset, size: r.size, version: shorten(r.version), delete: r.kind == kindDelete,
			})
			continue
		}
		for _, p := range batch {
			c.set(s, p)
		}
		batch = batch[:0]
	}
}

// overheadOf is what a merge of the segment alone could not give back. The commits of a log segment it can.
func overheadOf(kind uint32, commits int64) int64 {
	if kind == kindPacked {
		return segmentHeaderBytes + commits
	}
	return segmentHeaderBytes
}

// openSegment opens a file whose header must be good and of that id: a *scanFault otherwise.
func openSegment(fs vfs.FS, path string, id uint32) (vfs.File, segmentHeader, error) {
	file, err := fs.Open(path)
	if err != nil {
		return nil, segmentHeader{}, err
	}
	header, err := readSegmentHeader(file, id)
	if err != nil {
		return nil, segmentHeader{}, errors.Join(err, file.Close())
	}
	return file, header, nil
}

func readSegmentHeader(file io.ReaderAt, id uint32) (segmentHeader, error) {
	raw := make([]byte, segmentHeaderBytes)
	n, err := file.ReadAt(raw, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return segmentHeader{}, err
	}
	header, reason := decodeSegmentHeader(raw[:n])
	if reason == "" && header.id != id {
		reason = fmt.Sprintf("file holds segment %d", header.id)
	}
	if reason != "" {
		return segmentHeader{}, &scanFault{reason: reason}
	}
	return header, nil
}

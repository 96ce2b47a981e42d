package raftlog

import (
	"errors"
	"io/fs"

	"github.com/hashicorp/raft-wal/types"

	"kvorum/node/vfs"
)

// maxSegmentBytes bounds what is read of a tail segment: a segment and one batch of entries beyond it.
const maxSegmentBytes = 1 << 30

// settleTail checks the segment that was being written, cuts off a torn write, makes the rest durable, and completes a sealing
// that a crash has interrupted. Raft-wal's own recovery stops at the first frame that it cannot read, and forgets what follows: a flipped
// bit would cost acknowledged entries without an error. It also leaves a segment whose sealing is on disk but not in the
// metadata as the tail, and refuses every later append.
func (m *metaStore) settleTail(state *types.PersistentState) error {
	n := len(state.Segments)
	if n == 0 || !state.Segments[n-1].SealTime.IsZero() {
		return nil
	}
	info := &state.Segments[n-1]
	data, err := vfs.ReadFile(m.fs, m.segmentPath(*info), maxSegmentBytes)
	if errors.Is(err, fs.ErrNotExist) {
		// A crash after the metadata were written, and before anything was in the segment. Raft-wal makes it.
		return nil
	}
	if err != nil {
		return &IOError{Op: "read the newest segment", Err: err}
	}
	t := readTail(data, info.BaseIndex)
	clean, damage := t.leftover()
	if damage != "" {
		return &CorruptError{Path: m.segmentPath(*info), Offset: int64(t.end), Reason: damage}
	}
	if !clean {
		if err := m.cutTail(*info, int64(t.end)); err != nil {
			return err
		}
	}
	if err := m.renewTail(*info, t); err != nil {
		return err
	}
	m.batches = t.batches
	if t.indexStart == 0 {
		return nil
	}
	m.batches = nil
	return m.finishSeal(state, t)
}

// renewTail makes durable what was read. It may be in the page cache only: an earlier process may have died before the fsync of
// its last batch, or because that fsync failed. Written again, since pages that could not be written count as clean, and an
// fsync that finds nothing to write succeeds. The batches before it were fsynced before it began.
func (m *metaStore) renewTail(info types.SegmentInfo, t *tail) error {
	if len(t.batches) == 0 {
		return nil
	}
	file, err := m.fs.OpenRandom(m.segmentPath(info))
	if err != nil {
		return &IOError{Op: "open the newest segment", Err: err}
	}
	start := t.end - int(t.batches[len(t.batches)-1].bytes)
	_, err = file.WriteAt(t.data[start:t.end], int64(start))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return &IOError{Op: "write the last batch again", Err: err}
	}
	return nil
}

// cutTail makes what follows the last whole batch zero again.
func (m *metaStore) cutTail(info types.SegmentInfo, end int64) error {
	path := m.segmentPath(info)
	m.log.Warn("cut a torn write off the raft log", "path", path, "offset", end)
	file, err := m.fs.OpenAppend(path)
	if err != nil {
		return &IOError{Op: "cut a torn write", Err: err}
	}
	err = errors.Join(file.Truncate(end), file.Truncate(max(end, int64(info.SizeLimit))), file.Sync(), file.Close())
	if err != nil {
		return &IOError{Op: "cut a torn write", Err: err}
	}
	return nil
}

// finishSeal does what raft-wal would have done next: the segment becomes a sealed one, and an empty one the tail.
func (m *metaStore) finishSeal(state *types.PersistentState, t *tail) error {
	now := m.clock.Now()
	info := &state.Segments[len(state.Segments)-1]
	info.SealTime, info.MaxIndex, info.IndexStart = now, t.last, uint64(t.indexStart)
	state.Segments = append(state.Segments, types.SegmentInfo{
		ID: state.NextSegmentID, BaseIndex: t.last + 1, MinIndex: t.last + 1, SizeLimit: info.SizeLimit,
		Codec: info.Codec, CreateTime: now,
	})
	state.NextSegmentID++
	return m.write(segmentsFile, state)
}

package raftlog

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"kvorum/node/clock"
	"kvorum/node/vfs"
)

/*
The log's metadata are two small files:

	segments   which segment files make up the log, and its bounds in them: replaced as a whole, in one step and durably
	stable     Raft's term and vote: written in place (sector.go)

	 0       8       12
	+-------+-------+----------------+
	| magic | crc   | JSON           |
	+-------+-------+----------------+

magic is "KVRLMETA", crc the big-endian CRC-32C of the JSON. raft-wal's own store is a bbolt file, which has no checksum on
its data pages: a flipped bit there can shorten the log, or make Raft forget a vote, without an error. A file that was
renamed into place after its fsync is never torn, so here whatever does not match is damage.
*/

const (
	segmentsFile  = "segments"
	stableFile    = "stable"
	metaMagic     = "KVRLMETA"
	metaHeader    = len(metaMagic) + 4
	metaMaxBytes  = 4 << 20
	segmentSuffix = ".wal"
)

// metaStore is raft-wal's MetaStore. raft-wal calls Load once, before anything else.
type metaStore struct {
	fs    vfs.FS
	log   *slog.Logger
	clock clock.Clock
	sizes *sizes
	// failed is told of writes that failed, because raft-wal does some in the background.
	failed func(error)

	dir string
	// batches are those of the tail segment, as Load finds it.
	batches []mark

	// sector is the stable file.
	sector sector

	mu sync.Mutex
	// stable is as in the file, but for a vote's term whose candidate is still to come.
	stable map[string][]byte
}

var _ types.MetaStore = (*metaStore)(nil)

// Load reads both files, and brings the tail segment into a state that raft-wal recovers without guessing.
func (m *metaStore) Load(dir string) (types.PersistentState, error) {
	m.dir = dir
	state, err := m.loadSegments()
	if err != nil {
		return state, err
	}
	for _, info := range state.Segments {
		if info.Codec != codecID {
			return state, &FormatError{Path: m.segmentPath(info), Have: info.Codec, Want: codecID}
		}
	}
	if err := m.loadStable(len(state.Segments) > 0); err != nil {
		return state, err
	}
	if err := m.settleTail(&state); err != nil {
		return state, err
	}
	m.count(state.Segments)
	return state, nil
}

// count starts the sizes. Where the index of a sealed segment begins is nearly the segment's size.
func (m *metaStore) count(segments []types.SegmentInfo) {
	if len(segments) == 0 {
		return
	}
	m.sizes.startAt(segments[0].BaseIndex - 1)
	for _, info := range segments {
		if !info.SealTime.IsZero() {
			m.sizes.append(info.MaxIndex, int64(info.IndexStart))
		}
	}
	if segments[len(segments)-1].SealTime.IsZero() {
		for _, batch := range m.batches {
			m.sizes.append(batch.index, batch.bytes)
		}
	}
	m.sizes.cutBefore(segments[0].MinIndex - 1)
}

// CommitState replaces the list of segments.
func (m *metaStore) CommitState(state types.PersistentState) error {
	for i := range state.Segments {
		state.Segments[i].Codec = codecID
	}
	return m.write(segmentsFile, state)
}

// GetStable returns a copy.
func (m *metaStore) GetStable(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.stable[string(key)]
	if !ok {
		return nil, nil
	}
	return append([]byte{}, value...), nil
}

// SetStable is called by one goroutine at a time (Log.setting). Until it returns, GetStable gives the old value.
//
// A vote is two values, which hashicorp/raft stores one after the other, the term first, and it grants the vote after the
// second. They are written together, with the second: one write less for an election to wait for, and a crash between the
// two does not leave the candidate of an older term as voted for in the new one, which Raft would grant again without
// looking at the candidate's log.
func (m *metaStore) SetStable(key, value []byte) error {
	m.mu.Lock()
	next := maps.Clone(m.stable)
	m.mu.Unlock()
	votes := string(key) == lastVoteTerm
	if votes && !bytes.Equal(value, next[lastVoteTerm]) {
		delete(next, lastVoteCand)
	}
	if value == nil {
		delete(next, string(key))
	} else {
		next[string(key)] = append([]byte{}, value...)
	}
	if !votes {
		if err := m.sector.write(next); err != nil {
			return m.fail("write "+stableFile, err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stable = next
	return nil
}

// Close has nothing to do: no file stays open.
func (m *metaStore) Close() error { return nil }

func (m *metaStore) loadSegments() (types.PersistentState, error) {
	var state types.PersistentState
	err := m.read(segmentsFile, &state)
	if !errors.Is(err, fs.ErrNotExist) {
		return state, err
	}
	// raft-wal writes it before its first segment.
	names, err := m.fs.List(m.dir)
	if err != nil {
		return state, &IOError{Op: "list " + m.dir, Err: err}
	}
	for _, name := range names {
		if strings.HasSuffix(name, segmentSuffix) {
			return state, &CorruptError{Path: m.path(segmentsFile), Reason: "the file is lost, but not " + name}
		}
	}
	return state, nil
}

// loadStable makes the file if the log is new. It is there before the first list of segments is.
func (m *metaStore) loadStable(mustExist bool) error {
	m.sector = sector{fs: m.fs, path: m.path(stableFile)}
	data, err := vfs.ReadFile(m.fs, m.sector.path, metaMaxBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist) && mustExist:
		return &CorruptError{Path: m.sector.path, Reason: "the file is lost"}
	case errors.Is(err, fs.ErrNotExist):
		m.stable = map[string][]byte{}
		err = m.sector.make(m.stable)
	case err != nil:
		return &IOError{Op: "read " + stableFile, Err: err}
	case bytes.HasPrefix(data, []byte(metaMagic)):
		// It was a file like that of the segments once.
		if err := m.parse(stableFile, data, &m.stable); err != nil {
			return err
		}
		err = m.sector.make(m.stable)
	default:
		m.stable, err = m.sector.read(data)
	}
	var damage *CorruptError
	if err == nil || errors.As(err, &damage) {
		return err
	}
	return m.fail("write "+stableFile, err)
}

func (m *metaStore) read(name string, into any) error {
	data, err := vfs.ReadFile(m.fs, m.path(name), metaMaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return &IOError{Op: "read " + name, Err: err}
	}
	return m.parse(name, data, into)
}

func (m *metaStore) parse(name string, data []byte, into any) error {
	path := m.path(name)
	if len(data) < metaHeader || string(data[:len(metaMagic)]) != metaMagic {
		return &CorruptError{Path: path, Reason: "not a file of this kind"}
	}
	payload := data[metaHeader:]
	if crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(data[len(metaMagic):]) {
		return &CorruptError{Path: path, Offset: int64(metaHeader), Reason: "the checksum does not match"}
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return &CorruptError{Path: path, Offset: int64(metaHeader), Reason: err.Error()}
	}
	return nil
}

func (m *metaStore) write(name string, value any) error {
	payload, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	data := append([]byte(metaMagic), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(data[len(metaMagic):], crc32.Checksum(payload, castagnoli))
	if err := vfs.WriteFile(m.fs, m.path(name), append(data, payload...)); err != nil {
		return m.fail("write "+name, err)
	}
	return nil
}

func (m *metaStore) fail(op string, cause error) error {
	err := &IOError{Op: op, Err: cause}
	m.failed(err)
	return err
}

func (m *metaStore) path(name string) string { return filepath.Join(m.dir, name) }

func (m *metaStore) segmentPath(info types.SegmentInfo) string { return m.path(segment.FileName(info)) }

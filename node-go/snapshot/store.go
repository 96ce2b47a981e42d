// Package snapshot gives raft its snapshots, cuts its log, and completes at start what a crash has left half done.
//
// A local snapshot copies nothing: the engine is durable, so that a snapshot is an fsync of the engine and a small file
// that says how far it got. A follower that needs a snapshot is sent a view of the engine as it is then. Only a
// snapshot received from another node is a file with content, and only until the engine has taken it in.
package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"kvorum/node/engine"
	"kvorum/node/vfs"
)

// Options of Open.
type Options struct {
	FS vfs.FS
	// Engine holds the content of the local snapshots. It outlives the store.
	Engine engine.Engine
	// Log is slog.Default() if nil.
	Log *slog.Logger
}

// Store implements raft.SnapshotStore. Safe for concurrent use.
type Store struct {
	dir    string
	fs     vfs.FS
	engine engine.Engine
	log    *slog.Logger

	// mu also keeps changes of the directory that take more than one step apart.
	mu      sync.Mutex
	records []record // newest first
	seq     uint64   // the last one given
	holds   holds
}

var _ raft.SnapshotStore = (*Store)(nil)

// Info describes a snapshot.
type Info struct {
	ID    string
	Index uint64
	Term  uint64
	// Needs is the applied index that an engine must have to hold the snapshot's content. It can be below Index, since
	// not every entry reaches an engine, and above, for a view that was sent is newer than its snapshot.
	Needs uint64
}

// Open reads the metadata in dir, which is made if need be, and removes what a crash has left. Metadata that fails its
// checksum is *CorruptError. FinishRestore must follow before raft starts.
func Open(dir string, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Store{dir: dir, fs: o.FS, engine: o.Engine, log: o.Log}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open the snapshots: %w", err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := s.fs.MkdirAll(s.dir); err != nil {
		return err
	}
	// Its name, and the names in it: whoever made them may have died before they were durable.
	if err := errors.Join(s.fs.SyncDir(filepath.Dir(s.dir)), s.fs.SyncDir(s.dir)); err != nil {
		return err
	}
	return s.load()
}

// List gives the restored snapshots, newest first. One that was received and not restored is not among them: only the
// restore that raft is about to do knows its id.
func (s *Store) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	metas := []*raft.SnapshotMeta{}
	for i := range s.records {
		if s.records[i].source == inEngine {
			metas = append(metas, s.records[i].meta(0))
		}
	}
	return metas, nil
}

// Newest is the first of List.
func (s *Store) Newest() (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.newest(); r != nil {
		return Info{ID: r.id, Index: r.raft.Index, Term: r.raft.Term, Needs: r.needs}, true
	}
	return Info{}, false
}

// Configuration is that of the newest snapshot, received ones included, and the index of its entry; 0 if there is none.
func (s *Store) Configuration() (raft.Configuration, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) == 0 {
		return raft.Configuration{}, 0
	}
	newest := s.records[0].raft
	return newest.Configuration.Clone(), newest.ConfigurationIndex
}

// Covered is the last entry of the newest snapshot, received ones included, 0 if there is none.
func (s *Store) Covered() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) == 0 {
		return 0
	}
	return s.records[0].raft.Index
}

func (s *Store) newest() *record {
	for i := range s.records {
		if s.records[i].source == inEngine {
			return &s.records[i]
		}
	}
	return nil
}

// Create begins a snapshot. Nothing is on disk before there is something to write.
func (s *Store) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version < raft.SnapshotVersionMin || version > raft.SnapshotVersionMax {
		return nil, fmt.Errorf("create a snapshot: raft's format %d is unknown", version)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	return &sink{store: s, record: record{
		id: fileID(index, term, s.seq), seq: s.seq,
		raft: raft.SnapshotMeta{
			Version: version, Index: index, Term: term,
			Configuration: configuration.Clone(), ConfigurationIndex: configurationIndex,
		},
	}}, nil
}

// Open gives the content of a snapshot, with its exact size: for one in the engine a view pinned now, which may be newer
// than the snapshot (a receiver skips what it has), for one received its file. The caller must close it.
func (s *Store) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.records, func(r record) bool { return r.id == id })
	if i < 0 {
		return nil, nil, fmt.Errorf("open snapshot %s: there is none", id)
	}
	r := s.records[i]
	if r.source == inStream {
		return s.openStream(r)
	}
	return s.openView(r)
}

func (s *Store) openStream(r record) (*raft.SnapshotMeta, io.ReadCloser, error) {
	file, err := s.fs.Open(s.streamPath(r.id))
	if err != nil {
		return nil, nil, fmt.Errorf("open snapshot %s: %w", r.id, err)
	}
	return r.meta(r.streamBytes), &received{File: file, store: s, record: r}, nil
}

func (s *Store) openView(r record) (*raft.SnapshotMeta, io.ReadCloser, error) {
	view, err := s.engine.View()
	if err != nil {
		return nil, nil, fmt.Errorf("open snapshot %s: %w", r.id, err)
	}
	if view.Applied() < r.needs {
		view.Close()
		return nil, nil, fmt.Errorf("open snapshot %s: the engine is at entry %d, before %d", r.id, view.Applied(), r.needs)
	}
	hold := s.holds.begin(r.raft.Index)
	release := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		hold.ended = true
	}
	return r.meta(view.Size()), sendView(view, release), nil
}

// received is a stream that raft restores. Once the engine has it, the file has done its work.
type received struct {
	vfs.File
	store  *Store
	record record
}

func (r *received) Close() error {
	err := r.File.Close()
	if r.store.engine.Synced() >= r.record.needs {
		r.store.restored(r.record.id)
	}
	return err
}

// add makes a finished snapshot, whose files are durable, one of the store's.
func (s *Store) add(r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, r)
	s.sort()
	if r.source == inEngine {
		s.holds.compacted()
	}
	s.reap()
}

func (s *Store) sort() {
	slices.SortFunc(s.records, func(a, b record) int {
		return cmp.Or(cmp.Compare(b.raft.Index, a.raft.Index), cmp.Compare(b.raft.Term, a.raft.Term), cmp.Compare(b.seq, a.seq))
	})
}

func (s *Store) metaPath(id string) string   { return filepath.Join(s.dir, id+metaSuffix) }
func (s *Store) streamPath(id string) string { return filepath.Join(s.dir, id+streamSuffix) }

package snapshot

import (
	"fmt"
	"path/filepath"
	"strings"

	"kvorum/node/vfs"
)

const (
	metaSuffix   = ".snapshot"
	streamSuffix = ".stream"
)

// fileID sorts as snapshots do. seq tells snapshots of the same entry apart.
func fileID(index, term, seq uint64) string { return fmt.Sprintf("%020d-%d-%d", index, term, seq) }

// load reads every metadata file, and then removes the files that belong to none.
func (s *Store) load() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, metaSuffix); ok {
			if err := s.loadRecord(id); err != nil {
				return err
			}
		}
	}
	s.sort()
	return s.removeLeftovers(names)
}

func (s *Store) loadRecord(id string) error {
	var index, term uint64
	r := record{id: id}
	if n, err := fmt.Sscanf(id, "%d-%d-%d", &index, &term, &r.seq); n != 3 || err != nil || fileID(index, term, r.seq) != id {
		return &CorruptError{Path: s.metaPath(id), Reason: "not a name of a snapshot"}
	}
	data, err := vfs.ReadFile(s.fs, s.metaPath(id), metaBytesMax)
	if err != nil {
		return err
	}
	if err := r.decode(s.metaPath(id), data); err != nil {
		return err
	}
	if r.raft.Index != index || r.raft.Term != term {
		return &CorruptError{Path: s.metaPath(id), Reason: "the metadata of another snapshot"}
	}
	s.seq = max(s.seq, r.seq)
	s.records = append(s.records, r)
	return nil
}

// removeLeftovers removes unfinished files, and streams whose metadata was never written or is gone.
func (s *Store) removeLeftovers(names []string) error {
	needed := map[string]bool{}
	for i := range s.records {
		if s.records[i].source == inStream {
			needed[s.records[i].id+streamSuffix] = true
		}
	}
	removed := false
	for _, name := range names {
		if needed[name] || !strings.HasSuffix(name, streamSuffix) && !strings.HasSuffix(name, vfs.TempSuffix) {
			continue
		}
		if err := s.fs.Remove(filepath.Join(s.dir, name)); err != nil {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return s.fs.SyncDir(s.dir)
}

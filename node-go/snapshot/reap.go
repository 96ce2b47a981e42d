package snapshot

import (
	"errors"
	"io/fs"
	"slices"

	"kvorum/node/vfs"
)

// kept is how many snapshots stay. One is enough; the second is there for people who look into what happened.
const kept = 2

// reap removes all but the newest snapshots. One that was received stays until it is restored, even below older ones, or
// until another one has been received: raft has then given it up.
func (s *Store) reap() {
	restored, lastReceived := 0, s.lastReceived()
	s.records = slices.DeleteFunc(s.records, func(r record) bool {
		stays := false
		if r.source == inEngine {
			restored++
			stays = restored <= kept
		} else {
			stays = r.seq == lastReceived
		}
		if stays {
			return false
		}
		if err := s.remove(r); err != nil {
			s.log.Warn("cannot remove an old snapshot: the next start will", "id", r.id, "error", err)
		}
		return true
	})
}

func (s *Store) lastReceived() uint64 {
	last := uint64(0)
	for i := range s.records {
		if s.records[i].source == inStream {
			last = max(last, s.records[i].seq)
		}
	}
	return last
}

// remove takes the metadata away first: a stream without metadata is a leftover.
func (s *Store) remove(r record) error {
	if err := s.fs.Remove(s.metaPath(r.id)); err != nil {
		return err
	}
	if r.source == inStream {
		return s.removeStream(r.id)
	}
	return s.fs.SyncDir(s.dir)
}

// restored makes a received snapshot an ordinary one, whose content is in the engine. If the disk refuses that, the file
// stays until the next start: FinishRestore then sees that the engine has it.
func (s *Store) restored(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.records, func(r record) bool { return r.id == id && r.source == inStream })
	if i < 0 {
		return
	}
	if err := s.dropStream(&s.records[i]); err != nil {
		s.log.Error("cannot drop the file of a restored snapshot: the next start will", "id", id, "error", err)
	}
	s.reap()
}

// dropStream first writes that the engine has the content, then removes the file: in between, the file is a leftover.
func (s *Store) dropStream(r *record) error {
	r.source, r.streamBytes = inEngine, 0
	if err := vfs.WriteFile(s.fs, s.metaPath(r.id), r.encode()); err != nil {
		return err
	}
	return s.removeStream(r.id)
}

// removeStream succeeds if the file is gone already, as after a crash within a removal.
func (s *Store) removeStream(id string) error {
	if err := s.fs.Remove(s.streamPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.fs.SyncDir(s.dir)
}

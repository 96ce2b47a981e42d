package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/hashicorp/raft"

	"kvorum/node/engine"
)

// FinishRestore brings the snapshots, the engine and the log together after a crash. It must be called before fsm.New and
// raft.NewRaft, which both believe what they find (raft reads only the newest snapshot's metadata, as
// NoSnapshotRestoreOnStart is set). Interrupted, it may be called again.
//
//   - A snapshot that was received goes into the engine, unless it is there. If its stream is broken or gone it is dropped:
//     raft answers for a snapshot, and touches its log, only after the engine has it.
//   - An engine that has not all of the newest snapshot is *engine.CorruptError: it has lost what was durable, and the log has
//     been cut. It must be made anew from a peer (see Newest).
//   - A log that ends before the newest snapshot, or disagrees with it, is emptied, which is what raft does after an
//     install, if it gets so far. raft-wal would refuse every later entry for the gap.
//   - A log that begins after the newest snapshot, or is empty without one under an engine that is not, is *CorruptError:
//     entries are missing.
func (s *Store) FinishRestore(log raft.LogStore) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.restoreReceived(); err != nil {
		return fmt.Errorf("finish a restore: %w", err)
	}
	s.reap()
	if r := s.newest(); r != nil && s.engine.Applied() < r.needs {
		return &engine.CorruptError{Path: s.metaPath(r.id), Reason: fmt.Sprintf(
			"the engine is at entry %d, but the snapshot was taken of one at %d", s.engine.Applied(), r.needs)}
	}
	if err := s.alignLog(log); err != nil {
		return fmt.Errorf("align the log with the snapshots: %w", err)
	}
	return nil
}

func (s *Store) restoreReceived() error {
	received := []string{}
	for i := range s.records {
		if s.records[i].source == inStream {
			received = append(received, s.records[i].id)
		}
	}
	for _, id := range received {
		if err := s.restoreOne(id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) restoreOne(id string) error {
	i := slices.IndexFunc(s.records, func(r record) bool { return r.id == id })
	r := &s.records[i]
	if s.engine.Synced() >= r.needs {
		return s.dropStream(r)
	}
	if s.engine.Applied() >= r.needs {
		return fmt.Errorf("the engine has applied entry %d and synced %d", s.engine.Applied(), s.engine.Synced())
	}
	s.log.Info("finishing the restore of a received snapshot", "id", id)
	err := s.restoreFrom(s.streamPath(id))
	var broken *engine.StreamError
	switch {
	case errors.As(err, &broken):
		s.log.Warn("dropping a received snapshot: its stream is broken or gone", "id", id, "error", err)
		dropped := *r
		s.records = slices.Delete(s.records, i, i+1)
		return s.remove(dropped)
	case err != nil:
		return err
	}
	return s.dropStream(r)
}

func (s *Store) restoreFrom(path string) error {
	file, err := s.fs.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &engine.StreamError{Reason: "the file is gone", Cause: err}
	}
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = s.engine.Restore(file)
	return err
}

func (s *Store) alignLog(log raft.LogStore) error {
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	index, term := uint64(0), uint64(0)
	if r := s.newest(); r != nil {
		index, term = r.raft.Index, r.raft.Term
	}
	if last == 0 && index == 0 && s.engine.Applied() > 0 {
		return &CorruptError{Path: s.dir, Reason: fmt.Sprintf(
			"the engine has applied entry %d, but there is neither a log nor a snapshot", s.engine.Applied())}
	}
	if last == 0 {
		return nil
	}
	if first > index+1 {
		return &CorruptError{Path: s.dir, Reason: fmt.Sprintf(
			"the log begins at entry %d, but the newest snapshot ends at %d", first, index)}
	}
	agrees, err := logAgrees(log, first, last, index, term)
	if err != nil || agrees {
		return err
	}
	s.log.Warn("emptying the log: the newest snapshot replaces it", "first", first, "last", last, "snapshot", index)
	return log.DeleteRange(first, last)
}

// logAgrees says whether the log can go on after the snapshot: it has the snapshot's last entry, or begins right after
// it.
func logAgrees(log raft.LogStore, first, last, index, term uint64) (bool, error) {
	if first == index+1 {
		return true, nil
	}
	if last < index {
		return false, nil
	}
	var entry raft.Log
	if err := log.GetLog(index, &entry); err != nil {
		return false, err
	}
	return entry.Term == term, nil
}

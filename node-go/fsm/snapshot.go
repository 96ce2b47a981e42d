package fsm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"kvorum/node/engine"
)

// Snapshot notes how far the engine has got. There is nothing to copy: the engine itself is durable.
func (f *FSM) Snapshot() (raft.FSMSnapshot, error) {
	if f.hasStopped() {
		return nil, ErrStopped
	}
	return &localSnapshot{f: f, applied: f.state.applied}, nil
}

// localSnapshot stays in the engine.
type localSnapshot struct {
	f       *FSM
	applied uint64
}

// engineSink is what a snapshot store offers for a snapshot that stays in the engine (snapshot.Store does).
type engineSink interface {
	KeepInEngine(applied uint64) error
}

// Persist runs beside Apply. Raft deletes log entries after it, so that the engine must have fsynced all they did.
func (s *localSnapshot) Persist(sink raft.SnapshotSink) error {
	store, ok := sink.(engineSink)
	if !ok {
		return fmt.Errorf("a snapshot store that cannot keep a snapshot in the engine: %T", sink)
	}
	synced, err := s.f.engine.Sync(context.Background())
	if err != nil {
		s.f.stop(fmt.Errorf("sync the engine: %w", err))
		return fmt.Errorf("sync the engine: %w", err)
	}
	if synced < s.applied {
		return fmt.Errorf("the engine has synced up to entry %d, the snapshot needs %d", synced, s.applied)
	}
	return store.KeepInEngine(s.applied)
}

func (s *localSnapshot) Release() {}

// Restore replaces everything by a snapshot that another node sent. A broken stream changes nothing, and raft asks for
// another one. Get is UNAVAILABLE meanwhile.
func (f *FSM) Restore(snapshot io.ReadCloser) error {
	if f.hasStopped() {
		return ErrStopped
	}
	source, applied, err := peek(snapshot)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if applied <= f.state.applied {
		return f.keep(applied)
	}
	f.hide()
	if _, err := f.engine.Restore(source); err != nil {
		return f.restoreFailed(err)
	}
	s, err := load(f.engine, f.options.Shard, f.options.FormatMax)
	if err != nil {
		f.fatal(applied, fmt.Errorf("after a restore: %w", err))
		return ErrStopped
	}
	f.adopt(s)
	f.log.Info("restored a snapshot", "applied", s.applied)
	return nil
}

// hide keeps readers and exports away from an engine that is about to become another one's.
func (f *FSM) hide() {
	f.exports.mu.Lock()
	defer f.exports.mu.Unlock()
	f.table.Store(nil)
	f.exports.fail(errRestored)
}

// keep is the restore of a snapshot that is no newer than the engine: one that was sent late, or to a node whose log was
// behind its engine. The engine never goes back, since others may have seen what it holds, and it is what
// the snapshot plus the log would give. But raft drops its log after this, so that it must be durable.
func (f *FSM) keep(applied uint64) error {
	synced, err := f.engine.Sync(context.Background())
	if err != nil {
		f.fatal(applied, fmt.Errorf("sync the engine: %w", err))
		return ErrStopped
	}
	if synced < applied {
		return fmt.Errorf("restore: the engine has synced up to entry %d, the snapshot has %d", synced, applied)
	}
	f.log.Info("kept the engine: it is as new as the snapshot", "applied", f.state.applied, "snapshot", applied)
	return nil
}

// restoreFailed goes on with the old content if the engine still has it, which is the case if only the stream was bad.
func (f *FSM) restoreFailed(err error) error {
	var stream *engine.StreamError
	if !errors.As(err, &stream) {
		f.fatal(f.state.applied, fmt.Errorf("restore the engine: %w", err))
		return ErrStopped
	}
	f.table.Store(f.state.table())
	return fmt.Errorf("restore: %w", err)
}

// peek reads the index in a stream's header, and returns the whole stream again.
func peek(from io.Reader) (io.Reader, uint64, error) {
	var start bytes.Buffer
	stream, err := engine.NewStreamReader(io.TeeReader(from, &start))
	if err != nil {
		return nil, 0, err
	}
	return io.MultiReader(&start, from), stream.Applied(), nil
}

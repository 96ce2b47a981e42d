package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"time"

	"kvorum/node/engine"
	"kvorum/node/engine/bitcask"
	"kvorum/node/fsm"
	"kvorum/node/raftlog"
	"kvorum/node/snapshot"
	"kvorum/node/stall"
	"kvorum/node/telemetry"
)

// Directories below Options.Dir.
const (
	LogDir       = "raft"
	SnapshotsDir = "snapshots"
	EngineDir    = "engine"
)

// stores is what is on disk, brought together: log, engine, snapshots, and the state machine over them.
type stores struct {
	log       *raftlog.Log
	engine    engine.Engine
	snapshots *snapshot.Store
	fsm       *fsm.FSM
	// compactor is told of each append, once there is one.
	compactor atomic.Pointer[snapshot.Compactor]
}

// openStores opens what is there. A damaged engine is made anew, from the log or from a peer.
func (o *Options) openStores(ctx context.Context) (*stores, error) {
	s := &stores{}
	if err := s.openLog(o); err != nil {
		return nil, err
	}
	err := s.openContent(o)
	// Damage of the log or of the snapshots' own files has other types: another engine would not mend that.
	var damage *engine.CorruptError
	if errors.As(err, &damage) {
		o.Log.Error("the engine is damaged", "error", err)
		err = s.mend(ctx, o, err)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.compactor.Store(snapshot.NewCompactor(snapshot.CompactorOptions{
		CompactBytes: o.Sizes.CompactBytes, TrailingBytes: o.Sizes.TrailingBytes, Store: s.snapshots,
		LogBytes: snapshot.LogBytes{BytesSince: s.log.BytesSince, TrailingEntries: s.log.TrailingEntries},
		Clock:    o.Clock, Log: o.Log,
	}))
	return s, nil
}

func (s *stores) openLog(o *Options) error {
	if err := o.checkLogIsThere(); err != nil {
		return err
	}
	var err error
	s.log, err = raftlog.Open(filepath.Join(o.Dir, LogDir), raftlog.Options{
		FS: o.FS, Clock: o.Clock, Log: o.Log, WALLog: telemetry.HCLog(o.Log, "raft-wal", o.Clock, nil), StallLimit: o.Sizes.StallLimit, SegmentBytes: o.Sizes.LogSegmentBytes,
		OnStall:     o.stalled,
		PaceChanged: o.Changed.Raise,
		OnFailure:   func(err error) { o.OnFatal(classifyLog(err)) },
		Appended: func(bytes int64) {
			if c := s.compactor.Load(); c != nil {
				c.Appended(bytes)
			}
		},
	})
	return err
}

func (o *Options) stalled(err *stall.Error) { o.OnFatal(&FatalError{Cause: CauseStall, Err: err}) }

// slowestDisk is what a disk that works writes at least, bytes a second: the rows of many sessions make one apply large.
const slowestDisk = 16 << 20

// watchedEngine tells when an apply hangs. The log's watchdog would not: where everybody waits for that apply, nothing
// more is proposed.
type watchedEngine struct {
	engine.Engine
	dog *stall.Watchdog
}

func (e watchedEngine) Apply(b *engine.Batch) error {
	defer e.dog.Watch("engine: apply", time.Duration(b.Bytes())*time.Second/slowestDisk)()
	return e.Engine.Apply(b)
}

// checkLogIsThere refuses a directory whose log was taken away: with an empty one this node would vote again in terms in
// which it has voted, and forget what it has acknowledged. The log is made before the engine, so the engine is never
// there without it.
func (o *Options) checkLogIsThere() error {
	_, err := o.FS.Stat(filepath.Join(o.Dir, EngineDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	path := filepath.Join(o.Dir, LogDir)
	if _, err := o.FS.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return &raftlog.CorruptError{Path: path, Reason: "the directory is gone; replace this node by a new one"}
	} else if err != nil {
		return err
	}
	return nil
}

// openContent opens the engine, completes what a crash left half done, and loads the state machine.
func (s *stores) openContent(o *Options) error {
	if err := s.openEngine(o); err != nil {
		return err
	}
	if err := s.snapshots.FinishRestore(s.log); err != nil {
		return err
	}
	var err error
	watched := watchedEngine{Engine: s.engine, dog: stall.New(o.Clock, o.Sizes.StallLimit, o.stalled)}
	s.fsm, err = fsm.New(watched, fsm.Options{
		Shard: o.Identity.Shard, FormatMax: o.FormatMax, Log: o.Log, AwaitDurable: s.log.AwaitDurable,
		Observer: o.Observer,
		OnFatal:  func(err error) { o.OnFatal(classify("the state machine has stopped", err)) },
	})
	return err
}

func (s *stores) openEngine(o *Options) error {
	opened, err := bitcask.Open(filepath.Join(o.Dir, EngineDir), bitcask.Options{
		FS: o.FS, Clock: o.Clock, Log: o.Log, SegmentBytes: o.Sizes.SegmentBytes,
		OnDamage: func(err *engine.CorruptError) { o.OnFatal(classify("damage was found in the engine", err)) },
	})
	if err != nil {
		return fmt.Errorf("open the engine: %w", err)
	}
	s.engine = opened
	s.snapshots, err = snapshot.Open(filepath.Join(o.Dir, SnapshotsDir), snapshot.Options{FS: o.FS, Engine: s.engine, Log: o.Log})
	return err
}

// close is for an Open that failed: nothing uses the stores yet.
func (s *stores) close() {
	if s.engine != nil {
		s.engine.Close()
		s.engine = nil
	}
	if s.log != nil {
		s.log.Close()
	}
}

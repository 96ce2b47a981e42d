// Package fsm is the state machine that the Raft log drives: keys with versions, and which partitions this shard owns.
//
// It is deterministic: the same entries give the same engine content, byte for byte, on every replica and in every
// replay. So it has no clock and no I/O but the engine, and what it cannot understand or write down stops it for good:
// a replica that skips is worse than one that is gone.
package fsm

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// ErrStopped is what waiting for a state machine that has stopped ends with.
var ErrStopped = errors.New("the state machine has stopped")

// Options of New.
type Options struct {
	// Shard is written into the data; data of another shard is refused.
	Shard uint32
	// FormatMax is the newest format of commands and rows that is known here; 0: command.Format.
	FormatMax uint32
	// Log is slog.Default() if nil.
	Log *slog.Logger
	// OnFatal is told, once, why the state machine has stopped: an entry that this version cannot understand
	// (UNSUPPORTED), an engine that failed, a log that is not the engine's. The process must exit. It is called on the
	// goroutine of raft that applies entries, so that it must not wait for raft.
	OnFatal func(error)
	// AwaitDurable returns when an entry is durable in this node's log, or why it never will be. nil: entries are durable
	// before they come.
	AwaitDurable func(index uint64) error
	// Observer is told of what entries change. May be nil.
	Observer Observer
	// ExportBytes bounds the keys that an export keeps because they have changed; 64 MiB if 0.
	ExportBytes int
}

// FSM implements raft.FSM and raft.ConfigurationStore. Apply, StoreConfiguration, Snapshot and Restore belong to raft,
// which calls them one at a time; all else may be called by anybody at any time.
type FSM struct {
	engine  engine.Engine
	options Options
	log     *slog.Logger

	state *state
	batch *engine.Batch
	// decoder has the messages of the entry that is being applied: nobody may keep one of them.
	decoder command.Decoder
	// soonest is the earliest expiry that the entry has given to a key, or to a lease.
	soonest uint64
	// changes are those of the entry that is being applied, for the observer.
	changes []Change

	// table is nil during a Restore, when no state is whole.
	table    atomic.Pointer[table]
	exports  exports
	alarm    alarm
	progress progress
	// leaseDue is nextLease of the state.
	leaseDue atomic.Uint64
	// attached says whether the engine may hold a key that belongs to a lease: asked before the engine, which most shards need not be.
	attached atomic.Bool
	// logTimeMs is that of the state.
	logTimeMs atomic.Uint64
	// format is that of the state.
	format atomic.Uint32

	stopOnce sync.Once
	stopped  chan struct{} // closed by stop, after which nothing is applied any more
	closed   chan struct{} // closed by Close, lets a stopped Apply return
	closing  sync.Once
}

var _ raft.ConfigurationStore = (*FSM)(nil)

// New continues from what the engine holds. A snapshot that was received and not yet restored must be in the engine by
// now (snapshot.Store.FinishRestore).
func New(e engine.Engine, o Options) (*FSM, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.AwaitDurable == nil {
		o.AwaitDurable = func(uint64) error { return nil }
	}
	if o.ExportBytes == 0 {
		o.ExportBytes = exportBytesMax
	}
	if o.FormatMax == 0 {
		o.FormatMax = command.Format
	}
	s, err := load(e, o.Shard, o.FormatMax)
	if err != nil {
		return nil, err
	}
	f := &FSM{
		engine: e, options: o, log: o.Log.With("shard", o.Shard),
		batch:   engine.NewBatch(0),
		stopped: make(chan struct{}), closed: make(chan struct{}),
	}
	f.adopt(s)
	return f, nil
}

// Applied is the index up to which every entry has taken effect here: commands, configuration changes, and barriers as
// far as Passed was told of them.
func (f *FSM) Applied() uint64 { return f.progress.reached.Load() }

// WaitApplied returns nil as soon as Applied is at least index. It ends early with ctx's error or ErrStopped.
func (f *FSM) WaitApplied(ctx context.Context, index uint64) error {
	return f.progress.wait(ctx, index, f.stopped)
}

// Passed says that everything up to index has been through Apply, because a raft.Barrier with that index has succeeded.
// Raft does not show barriers and no-ops to a state machine; without this, Applied would stay behind the commit
// index until the next write.
func (f *FSM) Passed(index uint64) {
	if !f.hasStopped() {
		f.progress.advance(index)
	}
}

// StoreConfiguration notes that raft has got past a configuration entry. It changes no data: raft keeps the
// configuration in its log and with each snapshot.
func (f *FSM) StoreConfiguration(index uint64, _ raft.Configuration) { f.Passed(index) }

// LogTimeMs is the log time of the newest entry that was applied. A leader whose first entry is applied goes on from it.
func (f *FSM) LogTimeMs() uint64 { return f.logTimeMs.Load() }

// Format is the format of commands that the shard uses. One that is newer than this may be under way.
func (f *FSM) Format() uint32 { return f.format.Load() }

// OwnershipEpoch is the epoch in which this shard last changed ownership, 0 if it never did, and 0 during a Restore.
func (f *FSM) OwnershipEpoch() uint64 {
	if t := f.table.Load(); t != nil {
		return t.epoch
	}
	return 0
}

// Close lets an Apply that has met a fatal error return, so that raft can shut down. Nothing is applied after it.
func (f *FSM) Close() {
	f.stop(nil)
	f.closing.Do(func() { close(f.closed) })
}

// adopt makes s the state, and lets readers see it.
func (f *FSM) adopt(s *state) {
	f.state = s
	f.attached.Store(len(s.leases.of) > 0)
	f.table.Store(s.table())
	f.logTimeMs.Store(s.head.logTimeMs)
	f.leaseDue.Store(s.nextLease())
	f.format.Store(uint32(s.head.format))
	f.begin()
	f.progress.advance(s.applied)
	f.alarm.ring(0)
}

// fatal stops the state machine and then blocks until Close: to return to raft would let it count the entry as applied.
func (f *FSM) fatal(index uint64, cause error) *Applied {
	f.stop(cause)
	<-f.closed
	return &Applied{Index: index, Err: kverr.Unknown(errpb.ErrorCode_ERROR_CODE_INTERNAL, "entry %d: %w", index, ErrStopped)}
}

// stop is for good. A nil cause is an orderly end.
func (f *FSM) stop(cause error) {
	first := false
	f.stopOnce.Do(func() {
		first = true
		close(f.stopped)
	})
	if !first || cause == nil {
		return
	}
	f.log.Error("the state machine has stopped", "error", cause)
	if f.options.OnFatal != nil {
		f.options.OnFatal(cause)
	}
}

func (f *FSM) hasStopped() bool {
	select {
	case <-f.stopped:
		return true
	default:
		return false
	}
}

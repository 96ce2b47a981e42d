package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
)

// Defaults of CompactorOptions.
const (
	// DefaultCompactBytes bounds what a restart replays and what the log takes on disk.
	DefaultCompactBytes = 64 << 20
	// DefaultTrailingBytes is what a follower may be behind and still catch up from the log.
	DefaultTrailingBytes = 16 << 20
)

const (
	// The log is looked at each time it has grown by this part of CompactBytes.
	looksPerCompaction = 16
	// heldFactor times CompactBytes is how long the log may get for a follower that is being sent a snapshot.
	heldFactor = 4

	retryDelayMin = time.Second
	retryDelayMax = 30 * time.Second
)

// LogBytes is what the compactor asks of the log store.
type LogBytes struct {
	// BytesSince is the size of the entries after index.
	BytesSince func(index uint64) int64
	// TrailingEntries is how many of the newest entries have together at most that size.
	TrailingEntries func(bytes int64) uint64
}

// Raft is what the compactor asks of raft.
type Raft struct {
	// Snapshot takes a snapshot now and cuts the log.
	Snapshot func() error
	// KeepEntries sets how many of the newest entries the next snapshots leave in the log.
	KeepEntries func(count uint64) error
}

// OfRaft are the functions of a running raft.
func OfRaft(r *raft.Raft) Raft {
	return Raft{
		Snapshot: func() error { return r.Snapshot().Error() },
		KeepEntries: func(count uint64) error {
			config := r.ReloadableConfig()
			config.TrailingLogs = count
			return r.ReloadConfig(config)
		},
	}
}

// CompactorOptions of NewCompactor.
type CompactorOptions struct {
	// CompactBytes of log since the newest snapshot make another one due; DefaultCompactBytes if 0.
	CompactBytes int64
	// TrailingBytes of log stay behind for slow followers; DefaultTrailingBytes if 0.
	TrailingBytes int64
	Store         *Store
	LogBytes      LogBytes
	Clock         clock.Clock
	// Log is slog.Default() if nil.
	Log *slog.Logger
}

// Compactor takes a snapshot whenever the log has grown by CompactBytes, and has raft cut the log behind it. Raft cuts
// only up to a snapshot, and a snapshot is one only after the engine has fsynced it (fsm.Persist), so that no entry
// goes that a restart could need.
type Compactor struct {
	options CompactorOptions
	grown   atomic.Int64 // bytes since the last look
	look    chan struct{}
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// NewCompactor does nothing before Start, but Appended may be called already.
func NewCompactor(o CompactorOptions) *Compactor {
	if o.CompactBytes == 0 {
		o.CompactBytes = DefaultCompactBytes
	}
	if o.TrailingBytes == 0 {
		o.TrailingBytes = DefaultTrailingBytes
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Compactor{options: o, look: make(chan struct{}, 1), stop: func() {}}
}

// Appended says that the log has grown. The log store calls it with every write: it never blocks.
func (c *Compactor) Appended(bytes int64) {
	if c.grown.Add(bytes) >= c.options.CompactBytes/looksPerCompaction {
		c.grown.Store(0)
		c.wake()
	}
}

// Start begins, with a look at the log as it is. It is called once.
func (c *Compactor) Start(r Raft) {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.wake()
	c.done.Add(1)
	go func() {
		defer c.done.Done()
		c.run(ctx, r)
	}()
}

// Close waits for a snapshot that is being taken. raft.Shutdown must have been called (not waited for), which ends it
// early.
func (c *Compactor) Close() {
	c.stop()
	c.done.Wait()
}

func (c *Compactor) wake() {
	select {
	case c.look <- struct{}{}:
	default:
	}
}

func (c *Compactor) run(ctx context.Context, r Raft) {
	for {
		select {
		case <-c.look:
			c.compactUntilDone(ctx, r)
		case <-ctx.Done():
			return
		}
	}
}

// compactUntilDone tries again after failures, each time later.
func (c *Compactor) compactUntilDone(ctx context.Context, r Raft) {
	for delay := retryDelayMin; c.due() && ctx.Err() == nil; delay = min(2*delay, retryDelayMax) {
		err := c.compact(r)
		if err == nil {
			return
		}
		c.logFailure(err, delay)
		if clock.Wait(ctx, c.options.Clock, delay) != nil {
			return
		}
	}
}

func (c *Compactor) due() bool {
	newest, _ := c.options.Store.Newest()
	return c.options.LogBytes.BytesSince(newest.Index) >= c.options.CompactBytes
}

func (c *Compactor) compact(r Raft) error {
	before, _ := c.options.Store.Newest()
	if err := r.KeepEntries(c.keep()); err != nil {
		return fmt.Errorf("set how much of the log stays: %w", err)
	}
	if err := r.Snapshot(); err != nil {
		return fmt.Errorf("take a snapshot: %w", err)
	}
	after, _ := c.options.Store.Newest()
	if after.Index <= before.Index {
		return errNothingApplied
	}
	c.options.Log.Info("took a snapshot", "index", after.Index)
	return nil
}

// errNothingApplied: the log has grown, but by entries that are not committed, or not applied yet.
var errNothingApplied = errors.New("nothing has been applied since the newest snapshot")

// keep is the number of entries to leave: the trailing bytes, or everything while a follower that is being sent a
// snapshot needs it, unless that has made the log too long.
func (c *Compactor) keep() uint64 {
	o := &c.options
	if index, held := o.Store.Held(); held && o.LogBytes.BytesSince(index) <= heldFactor*o.CompactBytes {
		return math.MaxUint64
	}
	return max(1, o.LogBytes.TrailingEntries(o.TrailingBytes))
}

func (c *Compactor) logFailure(err error, retry time.Duration) {
	level := slog.LevelWarn
	if errors.Is(err, raft.ErrNothingNewToSnapshot) || errors.Is(err, errNothingApplied) ||
		errors.Is(err, raft.ErrRaftShutdown) {
		level = slog.LevelDebug
	}
	c.options.Log.Log(context.Background(), level, "cannot compact the log", "error", err, "retry", retry)
}

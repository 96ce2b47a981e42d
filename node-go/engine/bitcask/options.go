package bitcask

import (
	"errors"
	"fmt"
	"log/slog"

	"kvorum/node/clock"
	"kvorum/node/engine"
	"kvorum/node/vfs"
)

// Options of Open. The zero value of each field means its default.
type Options struct {
	// FS, default vfs.OS().
	FS vfs.FS
	// Clock, default clock.Real(); only for how long things took.
	Clock clock.Clock
	// Log, default none.
	Log *slog.Logger

	// SegmentBytes is the size at which a new segment is begun, 4 KiB to 1 GiB, default 64 MiB. Smaller: merges need less
	// spare disk; larger: fewer files.
	SegmentBytes int64
	// SyncBytes of applied batches make the engine fsync by itself, default 8 MiB: little at a time, so that the raft log's
	// fsyncs on the same disk do not wait behind a large one.
	SyncBytes int64
	// MergeRatio is the part of all sealed bytes that must be dead before the engine merges by itself, 0 < r < 1, default
	// 0.5: at most twice the live bytes on disk, and each byte is rewritten about once.
	MergeRatio float64
	// OpenFiles bounds the files kept open for reading, default 64.
	OpenFiles int

	// OnDamage is told of damage met while serving, once, by the goroutine that met it.
	OnDamage func(*engine.CorruptError)

	// Idle leaves Sync, hints and Merge to the caller: for tests that must know what happens when.
	Idle bool
}

const (
	segmentBytesMin = 4 << 10
	segmentBytesMax = 1 << 30
)

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.SyncBytes == 0 {
		o.SyncBytes = 8 << 20
	}
	if o.MergeRatio == 0 {
		o.MergeRatio = 0.5
	}
	if o.OpenFiles == 0 {
		o.OpenFiles = 64
	}
	return o
}

// validate reports every fault at once.
func (o Options) validate() error {
	var faults []error
	if o.SegmentBytes < segmentBytesMin || o.SegmentBytes > segmentBytesMax {
		faults = append(faults, fmt.Errorf("SegmentBytes %d: must be %d to %d", o.SegmentBytes, segmentBytesMin, segmentBytesMax))
	}
	if o.SyncBytes < 1 {
		faults = append(faults, fmt.Errorf("SyncBytes %d: must be positive", o.SyncBytes))
	}
	if !(o.MergeRatio > 0 && o.MergeRatio < 1) {
		faults = append(faults, fmt.Errorf("MergeRatio %v: must be between 0 and 1", o.MergeRatio))
	}
	if o.OpenFiles < 1 {
		faults = append(faults, fmt.Errorf("OpenFiles %d: must be positive", o.OpenFiles))
	}
	return errors.Join(faults...)
}

// Package engine is the contract of a storage engine under a replicated state machine, and the stream in which any engine
// hands its whole content to any other.
//
// The raft log is the durability: Apply does not fsync. What an engine must keep instead is consistency. After any crash
// its content is exactly that of some applied index, that index is known, and it is never below the last Synced. The log
// replays the rest. enginetest holds every engine to this.
package engine

import (
	"context"
	"io"
)

// Limits of the formats. What clients may send is bounded far below, by the server.
const (
	KeyBytesMax   = 1<<16 - 1
	ValueBytesMax = 16 << 20
	// BatchBytesMax bounds Batch.Bytes.
	BatchBytesMax = 256 << 20
)

// Record is one key's newest write. The slices of a record that an engine returns may be kept and must not be modified.
type Record struct {
	Key   []byte
	Value []byte
	// Version is the key's version, given by the state machine.
	Version uint64
	// Expiry is in the state machine's time, 0 for never. An engine stores it and does not act on it.
	Expiry uint64
	// Index is the raft index of the write.
	Index uint64
}

// Engine stores records by key, in bytewise order.
//
// Get, Version, View, Sync, Merge and Stats may be called by anybody at any time, beside everything else. Apply and Restore have one
// caller at a time.
//
// An error after which memory and disk may differ (a failed write of a batch, any failed fsync) breaks the engine for good:
// every later call returns it again, wrapped. There is nothing to retry; only a restart finds out what the disk holds. After
// any other error the engine goes on as before: those named at the methods, and a disk too full for Merge or Restore.
type Engine interface {
	// Apply makes the batch visible, all of it or nothing, with b.Index as the new applied index. An empty batch only
	// moves the index. The index must grow: *OrderError otherwise; a record over the limits is *LimitError; both leave
	// everything as it was. On return the batch is visible to Get and not yet durable. The caller may reuse b and all it refers to.
	Apply(b *Batch) error

	// Applied is the index of the newest applied batch, 0 for a new engine.
	Applied() uint64

	// Get returns the record of a key; false when there is none. Stored bytes that fail their checksum are *CorruptError,
	// never a wrong value.
	Get(key []byte) (Record, bool, error)

	// Version returns the version of a key's record; 0 and false when there is none. It is cheap: the disk is not
	// read, unless the version is huge.
	Version(key []byte) (uint64, bool, error)

	// View pins the present content in O(1). The caller must close it: it holds disk space.
	View() (View, error)

	// Sync makes durable at least everything applied when it was called, and returns the index up to which that holds.
	// It does not hold Apply up for the time of an fsync. The context bounds only the wait for another Sync.
	Sync(ctx context.Context) (uint64, error)

	// Synced is the index up to which everything is durable.
	Synced() uint64

	// Restore replaces the whole content by what View.WriteTo wrote to r, and returns its applied index, which may be below
	// the present one. It happens in one step and is durable on return. A bad or broken stream is *StreamError and
	// leaves everything as it was. Open views keep the old content. r must end where the stream ends.
	Restore(r io.Reader) (uint64, error)

	// Merge gives the space of dead records back. Writers and readers go on. An ended context returns its error and
	// leaves a consistent engine with part of the work done.
	Merge(ctx context.Context) error

	Stats() Stats

	// Close ends everything that runs. It does not make the rest durable. Views must be closed first.
	Close() error
}

// View is the content as of one applied index. Safe for concurrent use, until Close.
type View interface {
	Applied() uint64
	Get(key []byte) (Record, bool, error)

	// Ascend calls fn with the records of [from, to) in the order of keys until fn returns false; a nil from or to is open.
	// A record handed to fn is valid only during that call.
	Ascend(from, to []byte, fn func(Record) bool) error

	// Select is Ascend for those records only whose keys `want` chooses; the values of others are not read. A key handed to
	// want is valid only during that call, and must not be modified.
	Select(from, to []byte, want func(key []byte) bool, fn func(Record) bool) error

	// Walk calls fn with the keys of [from, to) in their order, or from the greatest one down, until fn returns false; a nil
	// from or to is open. Nothing is read from the disk but what fn asks of an item.
	Walk(from, to []byte, reverse bool, fn func(Item) bool) error

	// Size is the exact number of bytes that WriteTo will write.
	Size() int64

	// WriteTo writes the view as a stream: the same bytes from any engine with the same content.
	WriteTo(w io.Writer) (int64, error)

	Close() error
}

// Item is a key of a view on the way through it. It is valid only during the call that it is given to.
type Item interface {
	// Key must not be modified, and is valid only during the call.
	Key() []byte
	// Bytes is about what the record occupies: its key, its value, and a header.
	Bytes() int
	// Version is cheap, as Engine.Version is.
	Version() (uint64, error)
	// Record reads the record, which may be kept.
	Record() (Record, error)
}

// Stats describes an engine now.
type Stats struct {
	Keys int
	// LiveBytes are the records that a Get can reach, DeadBytes what a merge could give back.
	LiveBytes int64
	DeadBytes int64
	// TotalBytes are all data files, including those that only a view still holds.
	TotalBytes int64
	Segments   int
	// KeydirBytes estimates the memory of the key directory.
	KeydirBytes int64
	Applied     uint64
	Synced      uint64
	// Merges counts merges that gave something back.
	Merges uint64
}

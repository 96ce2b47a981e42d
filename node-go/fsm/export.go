package fsm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

const (
	// exportBytesMax bounds the keys that an export keeps because they have changed, unless the options say otherwise.
	exportBytesMax = 64 << 20
	// exportedKeyBytes is what one of them costs beside its bytes.
	exportedKeyBytes = 64
)

var (
	errTooManyChanges = errors.New("the partitions change faster than they are exported")
	errNotFrozen      = errors.New("the partitions were thawed, or have changed hands")
	errRestored       = errors.New("the state machine was restored from a snapshot")
)

// Export is the content of some partitions as of one entry, and which of their keys later entries have changed. It follows the
// order of the log: it is Frozen when the freeze of its epoch has been applied here, and every change before that is known.
//
// Apply never waits for whoever reads: what an export keeps is bounded, and one that is too slow fails.
type Export struct {
	fsm    *FSM
	view   engine.View
	epoch  uint64
	wanted *numbers

	// Now is the log time by which Left counts: that of the newest entry, unless somebody knows better.
	Now func() uint64

	mu      sync.Mutex
	changed map[string]struct{}
	bytes   int
	max     int
	// floors are those of the partitions when they were frozen; nil before.
	floors []Floor
	// leases are theirs by then.
	leases []ExportedLease
	// frozenMs is the log time of the freeze: whoever hears of that at once may not know yet that it is so late.
	frozenMs uint64
	failed   error
	// news says that something of the above is worth a look.
	news chan struct{}
}

// Floor is the greatest version that a deleted key of a partition had.
type Floor struct {
	Partition uint16
	Version   uint64
}

// exports are those under way. The lock is held while an entry takes effect: an export begins between two entries.
type exports struct {
	mu  sync.Mutex
	all map[*Export]struct{}
}

// Export begins an export of partitions that this shard owns, and may give away in that epoch. The caller closes it.
func (f *FSM) Export(epoch uint64, ranges []*pb.PartitionRange) (*Export, *kverr.Error) {
	wanted, err := expand(ranges)
	if err == nil && len(ranges) == 0 {
		err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "an export needs partitions")
	}
	if err != nil {
		return nil, err
	}
	f.exports.mu.Lock()
	defer f.exports.mu.Unlock()
	t := f.table.Load()
	if t == nil {
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_UNAVAILABLE, "shard %d is being restored from a snapshot here", f.options.Shard)
	}
	for number, want := range wanted {
		if holding := t.holdings[number]; want && (holding.State != Owned || holding.Epoch >= epoch) {
			err := kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
				"partition %d cannot be given away in epoch %d: it is in state %d since epoch %d", number, epoch, holding.State, holding.Epoch)
			err.Epoch = holding.Epoch
			return nil, err
		}
	}
	view, failed := f.engine.View()
	if failed != nil {
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_UNAVAILABLE, "open a view: %w", failed)
	}
	x := &Export{
		fsm: f, view: view, epoch: epoch, wanted: wanted,
		changed: map[string]struct{}{}, max: f.options.ExportBytes, news: make(chan struct{}, 1), Now: f.LogTimeMs,
	}
	if f.exports.all == nil {
		f.exports.all = map[*Export]struct{}{}
	}
	f.exports.all[x] = struct{}{}
	return x, nil
}

// Close lets go of the view and follows the log no longer.
func (x *Export) Close() error {
	x.fsm.exports.mu.Lock()
	delete(x.fsm.exports.all, x)
	x.fsm.exports.mu.Unlock()
	return x.view.Close()
}

// Records calls fn with what was there when the export began, until fn returns false. A record is valid only during the call.
func (x *Export) Records(fn func(engine.Record) bool) error {
	wanted := func(key []byte) bool { return x.wanted[command.Partition(key[1:])] }
	err := x.view.Select([]byte{spaceUser}, []byte{spaceUser + 1}, wanted, func(r engine.Record) bool {
		r.Key = r.Key[1:]
		return fn(r)
	})
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// Keys calls fn with the keys of some partitions as they are when it is called, until fn returns false. A key is valid only
// during the call. No value is read.
func (f *FSM) Keys(wanted func(partition uint16) bool, fn func(key []byte) bool) error {
	view, err := f.engine.View()
	if err != nil {
		return fmt.Errorf("walk the keys: %w", err)
	}
	defer view.Close()
	ended := false
	visit := func(key []byte) bool {
		if !ended && wanted(command.Partition(key[1:])) {
			ended = !fn(key[1:])
		}
		return false
	}
	if err := view.Select([]byte{spaceUser}, []byte{spaceUser + 1}, visit, nil); err != nil {
		return fmt.Errorf("walk the keys: %w", err)
	}
	return nil
}

// Get returns a key's record as it is by now, whoever owns it.
func (x *Export) Get(key string) (engine.Record, bool, error) {
	r, found, err := x.fsm.engine.Get(userKey([]byte(key)))
	if err != nil {
		return r, found, fmt.Errorf("export: %w", err)
	}
	r.Key = []byte(key)
	return r, found, nil
}

// Left is what is left of a record's time to live, in ms, at least 1; 0: it has none. Two shards' log times have nothing to do with
// each other, so that an Expiry means nothing elsewhere.
func (x *Export) Left(r engine.Record) uint64 {
	if r.Expiry == 0 {
		return 0
	}
	return max(1, Left(r.Expiry, x.Now()))
}

// Changed returns the keys that have changed since it was called last, and the floors once the partitions are frozen: then
// there will be no other changes. It waits for either, unless it is told not to.
func (x *Export) Changed(ctx context.Context, wait bool) (keys map[string]struct{}, frozen []Floor, err error) {
	for {
		x.mu.Lock()
		keys, frozen, err = nil, x.floors, x.failed
		if len(x.changed) > 0 {
			keys, x.changed, x.bytes = x.changed, map[string]struct{}{}, 0
		}
		if x.mu.Unlock(); err != nil || len(keys) > 0 || frozen != nil || !wait {
			return keys, frozen, err
		}
		select {
		case <-x.news:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-x.fsm.stopped:
			return nil, nil, ErrStopped
		}
	}
}

// Crowded says that the export keeps half of what it may: whoever reads had better take it, or it fails.
func (x *Export) Crowded() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.bytes > x.max/2
}

// Err says why the export is void: what was read since is not what was there at the freeze. Ask it after the last read.
func (x *Export) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.failed
}

// observe tells every export of an entry that has taken effect. The lock is held.
func (e *exports) observe(batch *engine.Batch, s *state, ownership bool) {
	for x := range e.all {
		x.observe(batch, s, ownership)
	}
}

// fail ends every export: the log does not say what changes now. The lock is held.
func (e *exports) fail(err error) {
	for x := range e.all {
		x.mu.Lock()
		x.fail(err)
		x.mu.Unlock()
	}
}

func (x *Export) observe(batch *engine.Batch, s *state, ownership bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failed != nil {
		return
	}
	for _, op := range batch.Ops() {
		if key := op.Record.Key; len(key) > 1 && key[0] == spaceUser && x.wanted[command.Partition(key[1:])] {
			x.note(key[1:])
		}
	}
	if x.bytes > x.max {
		x.fail(errTooManyChanges)
		return
	}
	if ownership {
		x.look(s)
	}
}

// note wakes for the first change only.
func (x *Export) note(key []byte) {
	if _, known := x.changed[string(key)]; known {
		return
	}
	x.changed[string(key)] = struct{}{}
	x.bytes += len(key) + exportedKeyBytes
	if len(x.changed) == 1 {
		x.wake()
	}
}

// look finds out whether the partitions are frozen. Until then they are owned as they were; once they were, any other state voids
// the export.
func (x *Export) look(s *state) {
	var floors []Floor
	frozen, owned := true, true
	for number, want := range x.wanted {
		if !want {
			continue
		}
		p := &s.partitions[number]
		frozen = frozen && p.Holding == Holding{State: Frozen, Epoch: x.epoch}
		owned = owned && (p.State == Owned || p.State == Frozen) && p.Epoch < x.epoch
		floors = append(floors, Floor{Partition: uint16(number), Version: p.floor})
	}
	switch {
	case frozen && x.floors == nil:
		x.floors, x.leases, x.frozenMs = floors, s.leases.within(x.wanted.set()), s.head.logTimeMs
		x.wake()
	case !frozen && (!owned || x.floors != nil):
		x.fail(errNotFrozen)
	}
}

func (x *Export) fail(err error) {
	if x.failed == nil {
		x.failed, x.changed, x.bytes = err, nil, 0
		x.wake()
	}
}

func (x *Export) wake() {
	select {
	case x.news <- struct{}{}:
	default:
	}
}

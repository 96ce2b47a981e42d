package fsm

import (
	"errors"

	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Get returns the record of a key; its Key is the given one. Every error is a *kverr.Error and NOT_APPLIED: WRONG_SHARD
// if this shard does not own the key's partition, MOVING if it
// is about to, CORRUPT if the stored bytes are damaged.
//
// The read happens at a moment at which the shard owned the partition: the table is the same before and after the
// engine was read, and Apply publishes a new one before it answers. So once a release has been answered, no Get
// returns what the partition's rows looked like later, while another shard owns it.
func (f *FSM) Get(key []byte) (engine.Record, bool, error) {
	if refused := checkKey(key); refused != nil {
		return engine.Record{}, false, refused
	}
	number, stored := command.Partition(key), userKey(key)
	for {
		before := f.table.Load()
		if before == nil {
			return engine.Record{}, false, kverr.NotApplied(
				errpb.ErrorCode_ERROR_CODE_UNAVAILABLE, "shard %d is being restored from a snapshot here", f.options.Shard)
		}
		if state := before.holdings[number].State; state != Owned && state != Frozen {
			return engine.Record{}, false, f.elsewhere(number, state, before.epoch)
		}
		record, found, err := f.engine.Get(stored)
		if err != nil {
			return engine.Record{}, false, readError(err)
		}
		if f.table.Load() != before {
			continue
		}
		if found {
			record.Key = key
		}
		return record, found, nil
	}
}

// Partitions is what the shard knows of each partition, as far as this node has applied it; nil during a Restore. It is
// never modified: another one takes its place when something changes.
func (f *FSM) Partitions() *[command.Partitions]Holding {
	if t := f.table.Load(); t != nil {
		return &t.holdings
	}
	return nil
}

// AnyFrozen says whether a write may be to a frozen partition.
func (f *FSM) AnyFrozen() bool {
	t := f.table.Load()
	return t != nil && t.frozen
}

// Frozen refuses a write as Apply would refuse it in an entry of this log time: MOVING while its partition is frozen, and nil
// otherwise, also when the freeze would end with that entry. So it costs no entry, and nothing is kept: unlike other
// refusals this one is about the moment.
func (f *FSM) Frozen(write *pb.Write, logTimeMs uint64) *kverr.Error {
	t := f.table.Load()
	if t == nil {
		return nil
	}
	_, partitions := partsOf(write)
	asked, _ := decodePartitionSet(partitions)
	if key := keyOf(write); len(key) > 0 {
		asked.add(command.Partition(key))
	}
	for number := range asked.all() {
		if t.holdings[number].State == Frozen && t.thaws[number] > logTimeMs {
			return f.elsewhere(number, Frozen, t.epoch)
		}
	}
	return nil
}

func readError(err error) *kverr.Error {
	code := errpb.ErrorCode_ERROR_CODE_INTERNAL
	var corrupt *engine.CorruptError
	if errors.As(err, &corrupt) {
		code = errpb.ErrorCode_ERROR_CODE_CORRUPT
	}
	return kverr.NotApplied(code, "read: %w", err)
}

package fsm

import (
	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Limits of a write. The server checks them before it proposes, with limits that may be lower; here they hold whatever
// was proposed, and they belong to the command's format.
const (
	KeyBytesMax   = 4096
	ValueBytesMax = 8 << 20
)

// writer carries out the writes of one entry. The engine shows nothing of them before the batch is applied, so it
// remembers what the earlier ones have done.
type writer struct {
	f *FSM
	// versions of the keys that were written, 0 for deleted.
	versions map[string]uint64
	// raised are the partitions whose floor has grown; order is that in which they were first raised.
	raised [command.Partitions]bool
	order  []uint16
}

// write fills the batch. Its error is the engine's; what goes wrong with one write is in its result.
func (f *FSM) write(writes []*pb.Write) ([]Result, error) {
	w := &writer{f: f, versions: make(map[string]uint64, len(writes))}
	results := make([]Result, len(writes))
	for i, write := range writes {
		var err error
		if put := write.GetPut(); put != nil {
			results[i], err = w.put(put)
		} else {
			results[i], err = w.delete(write.GetDelete())
		}
		if err != nil {
			return nil, err
		}
	}
	w.writeFloors()
	return results, nil
}

func (w *writer) put(p *pb.Put) (Result, error) {
	result := Result{Kind: KindPut}
	if len(p.GetValue()) > ValueBytesMax {
		result.Err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"value has %d bytes, the limit is %d", len(p.GetValue()), ValueBytesMax)
		return result, nil
	}
	version, refused, err := w.admit(p.GetKey(), p.IfVersion)
	if err != nil || refused != nil {
		result.Err = refused
		return result, err
	}
	if version == 0 {
		version = w.f.state.partitions[command.Partition(p.GetKey())].floor
	}
	result.Version = version + 1
	w.versions[string(p.GetKey())] = result.Version
	w.f.batch.Put(engine.Record{Key: userKey(p.GetKey()), Value: p.GetValue(), Version: result.Version})
	return result, nil
}

func (w *writer) delete(d *pb.Delete) (Result, error) {
	result := Result{Kind: KindDelete}
	version, refused, err := w.admit(d.GetKey(), d.IfVersion)
	if err != nil || refused != nil || version == 0 {
		result.Err = refused
		return result, err
	}
	result.Existed = true
	w.versions[string(d.GetKey())] = 0
	w.f.batch.Delete(userKey(d.GetKey()))
	w.raise(command.Partition(d.GetKey()), version)
	return result, nil
}

// admit returns the key's version, 0 if it is absent, or why nothing may be written.
func (w *writer) admit(key []byte, ifVersion *uint64) (version uint64, refused *kverr.Error, err error) {
	if refused = checkKey(key); refused != nil {
		return 0, refused, nil
	}
	if number := command.Partition(key); w.f.state.partitions[number].state != owned {
		return 0, w.f.wrongShard(number, w.f.state.epoch), nil
	}
	version, written := w.versions[string(key)]
	if !written {
		record, found, err := w.f.engine.Get(userKey(key))
		if err != nil {
			return 0, nil, err
		}
		if found {
			version = record.Version
		}
	}
	if ifVersion != nil && *ifVersion != version {
		refused = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
			"the key's version is %d, not %d", version, *ifVersion)
		refused.Version = version
	}
	return version, refused, nil
}

// raise keeps the version of a deleted key from being given to it again.
func (w *writer) raise(number uint16, version uint64) {
	p := &w.f.state.partitions[number]
	if version <= p.floor {
		return
	}
	p.floor = version
	if !w.raised[number] {
		w.raised[number] = true
		w.order = append(w.order, number)
	}
}

// writeFloors writes the rows after all writes, so that each has its final floor.
func (w *writer) writeFloors() {
	for _, number := range w.order {
		w.f.batch.Put(engine.Record{Key: partitionKey(int(number)), Value: w.f.state.partitions[number].encode()})
	}
}

func checkKey(key []byte) *kverr.Error {
	switch {
	case len(key) == 0:
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "the key is empty")
	case len(key) > KeyBytesMax:
		return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_TOO_LARGE, "key has %d bytes, the limit is %d", len(key), KeyBytesMax)
	default:
		return nil
	}
}

func (f *FSM) wrongShard(number uint16, epoch uint64) *kverr.Error {
	err := kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_WRONG_SHARD,
		"shard %d does not own partition %d: refresh the cluster map", f.options.Shard, number)
	err.Epoch = epoch
	return err
}

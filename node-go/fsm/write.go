package fsm

import (
	"fmt"
	"slices"

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
	// appendedBytesMax bounds the values that the appends of one entry make, and those that its touches write anew. The entry
	// holds only what they add, but the engine takes the whole values (engine.BatchBytesMax).
	appendedBytesMax = 64 << 20
)

// writer carries out the writes of one entry. The engine shows nothing of them before the batch is applied, so it
// remembers what the earlier ones have done.
type writer struct {
	f     *FSM
	batch *pb.WriteBatch
	// written are the keys that have been, as they are now; keys is the order in which they were first written.
	written map[string]written
	keys    []string
	// appended counts the bytes of the values that appends have made; full: one has found no room.
	appended int
	full     bool
	// seen are keys that were read for their values and not written, by their engine keys; looked counts the bytes of these.
	seen   map[string]written
	looked int
	// raised are the partitions whose floor has grown; order is that in which they were first raised.
	raised [command.Partitions]bool
	order  []uint16
	// undo is that of the transaction that is being carried out.
	undo *undo
	// leased are the keys that writes have put into leases, by these; some may not be in them any more.
	leased map[LeaseID][]string
	// freed counts the keys that were deleted because their leases have ended; ended counts the leases that an Expire has looked at.
	freed, ended int
}

// written is a key after the writes so far; version 0: it is absent.
type written struct {
	version uint64
	value   []byte
	// expiry is when it is due, in log time; 0: never.
	expiry uint64
	// lease is the one that it belongs to; zero: none.
	lease LeaseID
	// grown: an append has made the value, and nobody else refers to it.
	grown bool
}

// write fills the batch. Its error is the engine's; what goes wrong with one write is in its result.
func (f *FSM) write(batch *pb.WriteBatch) ([]Result, error) {
	writes := batch.GetWrites()
	w := &writer{f: f, batch: batch, written: make(map[string]written, len(writes))}
	results := make([]Result, len(writes))
	for i, write := range writes {
		var err error
		if results[i], err = w.once(write); err != nil {
			return nil, err
		}
	}
	w.writeKeys()
	w.writeFloors()
	return results, nil
}

// once answers a repeated write with its first result, and does any other.
func (w *writer) once(write *pb.Write) (Result, error) {
	number := write.GetSession()
	if number == 0 {
		return w.do(write)
	}
	all := w.f.state.sessions
	session, refused := all.admit(w.batch.GetSessions()[number-1], write.GetSequence(), w.f.state.head.logTimeMs)
	if refused != nil {
		return Result{Err: refused}, nil
	}
	if first, done := session.first(write.GetSequence()); done {
		if first.Kind != kindOf(write) {
			first = Result{Err: kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
				"write %d of the session was another operation", write.GetSequence())}
		}
		return first, nil
	}
	if refused := all.hasRoom(session, write); refused != nil {
		return Result{Err: refused}, nil
	}
	result, err := w.do(write)
	if err == nil && !ofTheMoment(result.Err) {
		partition := command.Partition(keyOf(write))
		all.keep(session, answered{sequence: write.GetSequence(), partition: partition, result: result})
	}
	return result, err
}

func (w *writer) do(write *pb.Write) (Result, error) {
	switch kind := write.GetKind().(type) {
	case *pb.Write_Put:
		return w.put(kind.Put)
	case *pb.Write_Delete:
		return w.delete(kind.Delete)
	case *pb.Write_Append:
		return w.append(kind.Append)
	case *pb.Write_CompareAndSet:
		return w.compareAndSet(kind.CompareAndSet)
	case *pb.Write_Increment:
		return w.increment(kind.Increment)
	case *pb.Write_Transaction:
		return w.transact(kind.Transaction)
	case *pb.Write_Touch:
		return w.touch(kind.Touch)
	case *pb.Write_GrantLease:
		return w.grantLease(kind.GrantLease)
	case *pb.Write_KeepAlive:
		return w.keepAlive(kind.KeepAlive)
	case *pb.Write_RevokeLease:
		return w.revokeLease(kind.RevokeLease)
	case *pb.Write_Open:
		head := w.f.state.head
		id, refused := w.f.state.sessions.open(kind.Open, head.index, head.logTimeMs)
		return Result{Kind: KindOpen, Session: id, Err: refused}, nil
	default:
		panic(fmt.Sprintf("command.Decode let %T pass", kind))
	}
}

func (w *writer) put(p *pb.Put) (Result, error) {
	result := Result{Kind: KindPut}
	if result.Err = checkValue(len(p.GetValue()), ValueBytesMax); result.Err == nil {
		result.Err = checkTTL(p.GetTtlMs())
	}
	if result.Err != nil {
		return result, nil
	}
	before, refused, err := w.admitPrevious(p.GetKey(), p.IfVersion, p.GetReturnPrevious())
	if err != nil || refused != nil {
		result.Err = refused
		return result, err
	}
	if result.Err = w.f.mayTake(p.GetLease(), command.Partition(p.GetKey())); result.Err != nil {
		return result, nil
	}
	if p.GetReturnPrevious() {
		result.Previous = before.previous()
	}
	result.Version = w.next(p.GetKey(), before.version)
	now := written{version: result.Version, value: p.GetValue(), expiry: w.f.due(p.GetTtlMs())}
	if len(p.GetLease()) > 0 {
		now.lease = LeaseID(p.GetLease())
	}
	w.set(p.GetKey(), now)
	w.changed(p.GetKey(), before, now)
	return result, nil
}

func (w *writer) append(a *pb.Append) (Result, error) {
	result := Result{Kind: KindAppend}
	// Not even read: an entry may hold thousands that come again.
	if _, known := w.written[string(a.GetKey())]; w.full && !known {
		result.Err = noRoom()
		return result, nil
	}
	before, refused, err := w.admit(a.GetKey(), nil, w.record)
	if err != nil || refused != nil {
		result.Err = refused
		return result, err
	}
	if result.Err = checkValue(len(before.value)+len(a.GetValue()), min(ValueBytesMax, int(a.GetLimit()))); result.Err != nil {
		return result, nil
	}
	value := before.value
	made := len(a.GetValue())
	if !before.grown {
		// Clipped: the value is the engine's, or a put's.
		value, made = slices.Clip(value), made+len(value)
	}
	// The first one always passes, however large its value is.
	if w.appended > 0 && w.appended+made > appendedBytesMax {
		w.full = true
		result.Err = noRoom()
		return result, nil
	}
	w.appended += made
	now := written{
		version: w.next(a.GetKey(), before.version), value: append(value, a.GetValue()...),
		expiry: before.expiry, lease: before.lease, grown: true,
	}
	w.set(a.GetKey(), now)
	w.changed(a.GetKey(), before, now)
	result.Version, result.Length = now.version, uint64(len(now.value))
	return result, nil
}

func noRoom() *kverr.Error {
	return full("the appends and touches of one entry write at most %d bytes of values", appendedBytesMax)
}

// next is the version of a key whose version was `before` until now.
func (w *writer) next(key []byte, before uint64) uint64 {
	if before == 0 {
		before = w.f.state.partitions[command.Partition(key)].floor
	}
	return before + 1
}

func (w *writer) set(key []byte, now written) {
	was, known := w.written[string(key)]
	if !known {
		w.keys = append(w.keys, string(key))
	} else if w.undo != nil {
		w.undo.note(string(key), was)
	}
	if now.lease != (LeaseID{}) {
		if w.leased == nil {
			w.leased = map[LeaseID][]string{}
		}
		w.leased[now.lease] = append(w.leased[now.lease], string(key))
	}
	w.written[string(key)] = now
}

// writeKeys writes each key once, as it is after the last write: many appends to one value cost one record.
func (w *writer) writeKeys() {
	for _, key := range w.keys {
		if now := w.written[key]; now.version > 0 {
			w.f.store(key, engine.Record{Value: now.value, Version: now.version, Expiry: now.expiry}, now.lease)
		} else {
			w.f.remove(key)
		}
	}
}

func (w *writer) delete(d *pb.Delete) (Result, error) {
	result := Result{Kind: KindDelete}
	before, refused, err := w.admitPrevious(d.GetKey(), d.IfVersion, d.GetReturnPrevious())
	if err != nil || refused != nil || before.version == 0 {
		result.Err = refused
		return result, err
	}
	if d.GetReturnPrevious() {
		result.Previous = before.previous()
	}
	result.Existed = true
	w.set(d.GetKey(), written{})
	w.f.deleted(d.GetKey(), before.version)
	w.raise(command.Partition(d.GetKey()), before.version)
	return result, nil
}

// admit returns what the key is now, as `look` finds it in the engine, or why nothing may be written.
func (w *writer) admit(
	key []byte, ifVersion *uint64, look func(key []byte) (written, error),
) (before written, refused *kverr.Error, err error) {
	if refused = checkKey(key); refused != nil {
		return written{}, refused, nil
	}
	number := command.Partition(key)
	if state := w.f.state.partitions[number].State; state != Owned {
		return written{}, w.f.elsewhere(number, state, w.f.state.epoch), nil
	}
	before, known := w.written[string(key)]
	if !known {
		if before, err = look(userKey(key)); err != nil {
			return written{}, nil, err
		}
		before.expiry, before.lease = w.f.state.expiries[string(key)], w.f.state.leases.of[string(key)]
	}
	if ifVersion != nil && *ifVersion != before.version {
		refused = before.differs(*ifVersion)
	}
	return before, refused, nil
}

// differs says why a write for this version may not be: the key is there, absent, or of another version.
func (w written) differs(ifVersion uint64) *kverr.Error {
	const failed = errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED
	switch {
	case ifVersion == 0:
		return w.refuse(failed, "the key is there already, with version %d", w.version)
	case w.version == 0:
		return w.refuse(failed, "the key is absent, not of version %d", ifVersion)
	default:
		return w.refuse(failed, "the key's version is %d, not %d", w.version, ifVersion)
	}
}

// versionNow is what a key's version is after the writes so far; 0: it is absent.
func (w *writer) versionNow(key []byte) (uint64, error) {
	if now, known := w.written[string(key)]; known {
		return now.version, nil
	}
	now, err := w.version(userKey(key))
	return now.version, err
}

// version leaves the value out, which costs a read of the disk.
func (w *writer) version(stored []byte) (written, error) {
	version, _, err := w.f.engine.Version(stored)
	return written{version: version}, err
}

func (w *writer) record(stored []byte) (written, error) {
	record, _, err := w.f.engine.Get(stored)
	return written{version: record.Version, value: record.Value}, err
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

func checkValue(bytes, limit int) *kverr.Error {
	if bytes <= limit {
		return nil
	}
	return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_TOO_LARGE, "value has %d bytes, the limit is %d", bytes, limit)
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

// movingRetryMs is advised while a partition moves: what is left of the move is a few commits.
const movingRetryMs = 5

// elsewhere refuses an operation on a partition in a state that does not allow it. Whoever knows that the partition comes here
// waits, rather than going in circles between two shards neither of which serves it.
func (f *FSM) elsewhere(number uint16, state Ownership, epoch uint64) *kverr.Error {
	var err *kverr.Error
	switch state {
	case Frozen, Importing, Imported:
		err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_MOVING, "partition %d is being moved", number)
		err.RetryAfterMs = movingRetryMs
	default:
		err = kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_WRONG_SHARD,
			"shard %d does not own partition %d: refresh the cluster map", f.options.Shard, number)
	}
	err.Epoch = epoch
	return err
}

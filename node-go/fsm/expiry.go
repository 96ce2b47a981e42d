package fsm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"kvorum/node/engine"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Expiry rows: one for each record with an Expiry, in the order in which they are due. They belong to format 3 of commands.
//
//	expiry   key   04 | expiry, log time, 8 big-endian | the user's key
//	         value empty
const (
	spaceExpiry     = 0x04
	expiryHeadBytes = 9
)

const (
	// TTLMsMax is how long a key may be given to live: 10 years.
	TTLMsMax = 10 * 365 * 24 * 60 * 60 * 1_000
	// DueKeysMax and dueBytesMax bound what Due gives at once: an entry.
	DueKeysMax  = 512
	dueBytesMax = 64 << 10
)

func expiryKey(at uint64, key string) []byte {
	row := append(make([]byte, 0, expiryHeadBytes+len(key)), spaceExpiry)
	return append(binary.BigEndian.AppendUint64(row, at), key...)
}

func splitExpiryKey(row []byte) (at uint64, key []byte) {
	return binary.BigEndian.Uint64(row[1:]), row[expiryHeadBytes:]
}

// loadExpiries reads the expiry rows of a view. Their keys say all: no value is read.
func loadExpiries(view engine.View) (map[string]uint64, error) {
	expiries := map[string]uint64{}
	var bad error
	visit := func(row []byte) bool {
		if bad != nil {
			return false
		}
		if len(row) <= expiryHeadBytes || len(row) > expiryHeadBytes+KeyBytesMax {
			bad = badRow("expiry row %x", row)
			return false
		}
		at, key := splitExpiryKey(row)
		if before := expiries[string(key)]; at == 0 || before > 0 {
			bad = badRow("key %x has expiry rows for %d and %d", key, before, at)
		}
		expiries[string(key)] = at
		return false
	}
	err := view.Select([]byte{spaceExpiry}, []byte{spaceExpiry + 1}, visit, nil)
	if err == nil {
		err = bad
	}
	return expiries, err
}

func checkTTL(ms uint64) *kverr.Error {
	if ms <= TTLMsMax {
		return nil
	}
	return kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "a time to live is 1 to %d ms, not %d", uint64(TTLMsMax), ms)
}

// due is when a key is that is given so long to live by this entry; 0: never.
func (f *FSM) due(ttlMs uint64) uint64 {
	if ttlMs == 0 {
		return 0
	}
	return f.state.head.logTimeMs + ttlMs
}

// store writes a key's record, and what of its expiry row and its attachment to a lease differs. All records of users are
// written here, and deleted by remove: so there is a row for each Expiry and each lease's key, and no other.
func (f *FSM) store(key string, r engine.Record, lease LeaseID) {
	r.Key = userKey([]byte(key))
	f.batch.Put(r)
	f.schedule(key, r.Expiry)
	f.attach(key, lease)
}

func (f *FSM) remove(key string) {
	f.batch.Delete(userKey([]byte(key)))
	f.schedule(key, 0)
	f.attach(key, LeaseID{})
}

func (f *FSM) schedule(key string, at uint64) {
	before := f.state.expiries[key]
	if before == at {
		return
	}
	if before > 0 {
		f.batch.Delete(expiryKey(before, key))
		delete(f.state.expiries, key)
	}
	if at > 0 {
		f.batch.Put(engine.Record{Key: expiryKey(at, key)})
		f.state.expiries[key] = at
		// What is imported is looked for when it is owned.
		if f.state.partitions[command.Partition([]byte(key))].State == Owned {
			f.soonest = min(f.soonest, at)
		}
	}
}

// touch changes when a key is due, and nothing else: its version stays, as its value does.
func (w *writer) touch(t *pb.Touch) (Result, error) {
	result := Result{Kind: KindTouch}
	if result.Err = checkTTL(t.GetTtlMs()); result.Err != nil {
		return result, nil
	}
	// The record is written anew, with its value.
	now, refused, err := w.admitValue(t.GetKey(), nil)
	if err != nil || refused != nil || now.version == 0 {
		result.Err = refused
		return result, err
	}
	// What is only read is not written anywhere else: this is, and the engine's batch is bounded.
	if w.appended > 0 && w.appended+len(now.value) > appendedBytesMax {
		result.Err = noRoom()
		return result, nil
	}
	w.appended += len(now.value)
	now.expiry = w.f.due(t.GetTtlMs())
	w.set(t.GetKey(), now)
	result.Existed = true
	return result, nil
}

// expire deletes those of the keys that are due by now: since somebody looked, they may have been written or moved. It says whether
// there was nothing to do.
func (f *FSM) expire(e *pb.Expire) (already bool, err error) {
	w := &writer{f: f, written: make(map[string]written, len(e.GetKeys()))}
	for _, key := range e.GetKeys() {
		at, number := f.state.expiries[string(key)], command.Partition(key)
		if at == 0 || at > f.state.head.logTimeMs || f.state.partitions[number].State != Owned {
			continue
		}
		before, err := w.version(userKey(key))
		if err != nil {
			return false, err
		}
		w.set(key, written{})
		w.f.deleted(key, before.version)
		w.raise(number, before.version)
	}
	if e.GetLeases() {
		if err := w.endLeases(); err != nil {
			return false, err
		}
	}
	w.writeKeys()
	w.writeFloors()
	return len(w.keys) == 0 && w.ended == 0, nil
}

// Due is what there is to expire.
type Due struct {
	// Keys are due, the earliest first.
	Keys [][]byte
	// Leases says that some are due, or have ended and have keys left.
	Leases bool
	// Next is when the next of either is due, in log time; 0: there is none.
	Next uint64
	// Sooner closes when something is due before Next, or partitions have changed hands.
	Sooner <-chan struct{}
}

// Due looks for keys that are due by a log time, in partitions whose keys may be deleted. One caller at a time.
func (f *FSM) Due(nowMs uint64) (Due, error) {
	sooner, from := f.alarm.arm()
	due, first := Due{Sooner: sooner}, from
	defer func() { f.alarm.passOver(first) }()
	table := f.table.Load()
	if table == nil {
		return due, nil
	}
	view, err := f.engine.View()
	if err != nil {
		return due, fmt.Errorf("look for keys that are due: %w", err)
	}
	defer view.Close()
	bytesLeft, thawed, others := dueBytesMax, uint64(math.MaxUint64), true
	// Only the last row is read: it ends the walk.
	isLast := func(row []byte) bool {
		at, key := splitExpiryKey(row)
		possible := table.expiryPossible(command.Partition(key))
		if others {
			first, others = at, possible == math.MaxUint64
		}
		if possible > nowMs {
			thawed = min(thawed, max(at, possible))
			return false
		}
		if at > nowMs || len(due.Keys) == DueKeysMax || bytesLeft <= 0 {
			due.Next = at
			return true
		}
		due.Keys = append(due.Keys, bytes.Clone(key))
		bytesLeft -= len(key)
		return false
	}
	err = view.Select(expiryKey(from, ""), []byte{spaceExpiry + 1}, isLast, func(engine.Record) bool { return false })
	if err != nil {
		return due, fmt.Errorf("look for keys that are due: %w", err)
	}
	if thawed < math.MaxUint64 && (due.Next == 0 || thawed < due.Next) {
		due.Next = thawed
	}
	if next := f.leaseDue.Load(); next <= nowMs {
		due.Leases = true
	} else if next < math.MaxUint64 && (due.Next == 0 || next < due.Next) {
		due.Next = next
	}
	if due.Next > 0 {
		f.alarm.relax(due.Next)
	}
	return due, nil
}

// expiryPossible is the log time from which an entry may delete keys of the partition: one that is frozen is thawed by the first
// entry after its time, and where nobody writes that is the one that expires its keys.
func (t *table) expiryPossible(number uint16) uint64 {
	switch t.holdings[number].State {
	case Owned:
		return 0
	case Frozen:
		return t.thaws[number]
	default:
		return math.MaxUint64
	}
}

// alarm wakes who waits for the next key that is due, when there is an earlier one.
type alarm struct {
	mu sync.Mutex
	// before is the log time that is waited for.
	before uint64
	rung   chan struct{}
	// from is a log time before which every row is of a partition whose keys may not be deleted: one that is being imported, or
	// swept. They can be many, and whoever looks again and again would pass them each time.
	from uint64
}

// arm has everything ring, until relax. Look for what is due from then on in between, passOver what need not be looked at again, and
// nothing is missed.
func (a *alarm) arm() (sooner <-chan struct{}, from uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before = math.MaxUint64
	if a.rung == nil {
		a.rung = make(chan struct{})
	}
	from, a.from = a.from, math.MaxUint64
	return a.rung, from
}

// passOver is told before when there is nothing to be found, but for what has rung since arm.
func (a *alarm) passOver(before uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.from = min(a.from, before)
}

// relax has only what is due earlier ring.
func (a *alarm) relax(before uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before = before
}

func (a *alarm) ring(at uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.from = min(a.from, at)
	if a.rung != nil && at < a.before {
		close(a.rung)
		a.rung = nil
	}
}

// Left is how long what has this expiry has to live at a log time; 0: it is due.
func Left(expiry, nowMs uint64) uint64 { return expiry - min(expiry, nowMs) }

package watch

import (
	"slices"
	"sort"
	"sync"

	"kvorum/node/fsm"
	"kvorum/node/fsm/command"
)

const (
	// recordBytes is what a change costs beside its key and value.
	recordBytes  = 192
	chunkRecords = 256
	// lookRecords bounds how many changes are looked at under the lock: whoever writes waits for no more.
	lookRecords = 1024
)

// Event is a change of a key or of the owner of partitions, and the position after it. It keeps nothing of the ring but the bytes of
// its own key and value.
type Event struct {
	fsm.Change
	Next Position
}

// Holdings say of each partition how it is held.
type Holdings = [command.Partitions]fsm.Holding

// record is a change at its place.
type record struct {
	index uint64
	place uint32
	// isLast of its entry.
	isLast bool
	change fsm.Change
}

func (r *record) position() Position { return Position{Index: r.index, Skip: r.place} }

func (r *record) next() Position {
	if r.isLast {
		return after(r.index)
	}
	return Position{Index: r.index, Skip: r.place + 1}
}

func (r *record) bytes() int {
	return recordBytes + len(r.change.Key) + len(r.change.Value) - r.change.Shared
}

// Ring keeps the newest changes, whole entries of them: as many as fit, and at least the newest one that has any. One goroutine
// writes and waits for no reader for longer than it takes to look at a few changes; readers refer to the keys and values and copy none.
type Ring struct {
	max int

	mu sync.RWMutex
	// begun says that there is a state machine.
	begun bool
	// first is the position from which on everything is kept, held is how partitions are held there.
	first Position
	held  Holdings
	// applied is the newest entry.
	applied uint64
	// chunks have the records one after the other, from number `start` of the first chunk on.
	chunks []*[chunkRecords]record
	start  int
	count  int
	bytes  int
	// moves are the records that change how partitions are held, once more.
	moves []record
}

// NewRing keeps changes of `bytes` in all, keys and values and what they cost beside.
func NewRing(bytes int) *Ring { return &Ring{max: bytes} }

// Begin forgets everything: changes come from here on.
func (r *Ring) Begin(applied uint64, holdings *Holdings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun, r.applied = true, applied
	r.restart(after(applied), holdings)
}

func (r *Ring) restart(first Position, holdings *Holdings) {
	r.first, r.held = first, *holdings
	r.chunks, r.start, r.count, r.bytes, r.moves = nil, 0, 0, 0, nil
}

// Observe takes the changes of an entry.
func (r *Ring) Observe(index uint64, changes []fsm.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied = index
	if len(changes) == 0 {
		return
	}
	for i := range changes {
		r.push(record{index: index, place: uint32(i), isLast: i == len(changes)-1, change: changes[i]})
	}
	for r.bytes > r.max && r.at(0).index != index {
		r.dropEntry()
	}
	isAssigned := func(c fsm.Change) bool { return c.Kind == fsm.Assigned }
	if slices.ContainsFunc(changes, isAssigned) {
		// Nobody released these partitions: who watches begins anew, as with a restored state.
		r.dropAll()
	}
}

func (r *Ring) push(rec record) {
	at := r.start + r.count
	if at == len(r.chunks)*chunkRecords {
		r.chunks = append(r.chunks, new([chunkRecords]record))
	}
	r.chunks[at/chunkRecords][at%chunkRecords] = rec
	r.count++
	r.bytes += rec.bytes()
	if !rec.change.IsOfKey() {
		r.moves = append(r.moves, rec)
	}
}

func (r *Ring) at(number int) *record {
	at := r.start + number
	return &r.chunks[at/chunkRecords][at%chunkRecords]
}

// dropEntry forgets the oldest entry.
func (r *Ring) dropEntry() {
	for isLast := false; !isLast; {
		oldest := r.at(0)
		isLast = oldest.isLast
		if !oldest.change.IsOfKey() {
			apply(&r.held, &oldest.change)
			r.moves = r.moves[1:]
		}
		r.first = oldest.next()
		r.bytes -= oldest.bytes()
		*oldest = record{}
		r.start, r.count = r.start+1, r.count-1
		if r.start == chunkRecords {
			r.chunks[0] = nil
			r.chunks, r.start = r.chunks[1:], 0
		}
	}
}

func (r *Ring) dropAll() {
	for r.count > 0 {
		r.dropEntry()
	}
	r.first = after(r.applied)
}

// apply does to holdings what a change of partitions says.
func apply(holdings *Holdings, c *fsm.Change) {
	for p := int(c.First); p <= int(c.Last); p++ {
		holdings[p] = c.Holding
	}
}

// Tail is the position after everything that is applied here; false when there is no state machine yet.
func (r *Ring) Tail() (Position, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return after(r.applied), r.begun
}

// Start is how partitions are held at a position that is not after the tail. The position 0, 0 is the beginning of the shard.
func (r *Ring) Start(from Position) (Position, *Holdings, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if from == (Position{}) && r.untouched() {
		from = r.first
	}
	if from.Before(r.first) {
		return from, nil, ErrCompacted
	}
	holdings := r.held
	for i := range r.moves {
		if r.moves[i].position().Before(from) {
			apply(&holdings, &r.moves[i].change)
		}
	}
	return from, &holdings, nil
}

// untouched says that nothing of what is not kept was a change of a key: the shard had no partitions until then.
func (r *Ring) untouched() bool {
	for _, h := range r.held {
		isComing := h.State == fsm.Importing || h.State == fsm.Imported
		if !isComing && h != (fsm.Holding{}) {
			return false
		}
	}
	return true
}

// Read gives the next changes that a watcher wants, of about so many bytes and at least one, and the position up to which it has looked, which
// is the tail when there is nothing more.
func (r *Ring) Read(from Position, filter Filter, bytes int) (events []Event, next Position, err error) {
	for bytes > 0 {
		var ended bool
		events, next, ended, err = r.look(from, filter, &bytes, events)
		if err != nil && len(events) > 0 {
			// What was found is right; the next call says so.
			return events, from, nil
		}
		if err != nil || ended {
			return events, next, err
		}
		from = next
	}
	return events, from, nil
}

// look is a part of Read: it holds the lock.
func (r *Ring) look(from Position, filter Filter, bytes *int, events []Event) (all []Event, next Position, ended bool, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if from.Before(r.first) {
		return events, from, false, ErrCompacted
	}
	at := sort.Search(r.count, func(i int) bool { return !r.at(i).position().Before(from) })
	for end := min(r.count, at+lookRecords); at < end; at++ {
		c := r.at(at)
		from = c.next()
		if !isTold(&c.change, filter) {
			continue
		}
		events = append(events, Event{Change: c.change, Next: from})
		if *bytes -= recordBytes + len(c.change.Key) + len(c.change.Value); *bytes <= 0 {
			return events, from, false, nil
		}
	}
	if at < r.count {
		return events, from, false, nil
	}
	if tail := after(r.applied); from.Before(tail) {
		from = tail
	}
	return events, from, true, nil
}

func isTold(c *fsm.Change, filter Filter) bool {
	switch c.Kind {
	case fsm.Put, fsm.Deleted:
		return filter.wants(c.Key)
	case fsm.ReleasedAway, fsm.Activated:
		return true
	default:
		return false
	}
}

package watch

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"kvorum/node/fsm"
)

var all = Filter{IsPrefix: true}

func putOf(key string, version uint64, bytes int) fsm.Change {
	return fsm.Change{Kind: fsm.Put, Key: []byte(key), Value: make([]byte, bytes), Version: version}
}

func heldBy(kind fsm.ChangeKind, first, last uint16, state fsm.Ownership, epoch uint64) fsm.Change {
	return fsm.Change{Kind: kind, First: first, Last: last, Holding: fsm.Holding{State: state, Epoch: epoch}}
}

// told is an event as a text, so that lists of them can be compared.
func told(c fsm.Change, next Position) string {
	return fmt.Sprintf("%d %s %d %d-%d %v -> %v", c.Kind, c.Key, c.Version, c.First, c.Last, c.Holding, next)
}

// TestReadersSeeEachChangeOnce holds a small ring against the list of everything that was ever put into it, for readers of any
// speed: they get a part of that list without a gap, or are told that there would be one.
func TestReadersSeeEachChangeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 4000).Draw(t, "limit")
		ring, index := NewRing(limit), uint64(7)
		ring.Begin(index, &Holdings{})
		held := Holdings{}
		filter := rapid.SampledFrom([]Filter{all, {Key: []byte("a"), IsPrefix: true}, {Key: []byte("b1")}}).Draw(t, "filter")
		type reader struct {
			at   Position
			seen []string
		}
		// logged is what a reader that begins now has to see from here on, by reader.
		var logged []string
		readers := []*reader{{at: after(index)}}
		begins := []int{0}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				readers = append(readers, &reader{at: after(index)})
				begins = append(begins, len(logged))
			case 1, 2:
				index += uint64(rapid.IntRange(1, 3).Draw(t, "gap"))
				changes := drawChanges(t)
				for i, c := range changes {
					next := Position{index, uint32(i) + 1}
					if i == len(changes)-1 {
						next = after(index)
					}
					if !c.IsOfKey() {
						apply(&held, &c)
					}
					if isTold(&c, filter) {
						logged = append(logged, told(c, next))
					}
				}
				ring.Observe(index, changes)
				checkBounds(t, ring, limit, changes)
			default:
				n := rapid.IntRange(0, len(readers)-1).Draw(t, "reader")
				r := readers[n]
				events, next, err := ring.Read(r.at, filter, rapid.IntRange(1, 900).Draw(t, "bytes"))
				if err != nil {
					if !errors.Is(err, ErrCompacted) || !r.at.Before(ring.first) {
						t.Fatalf("at %v of a ring from %v: %v", r.at, ring.first, err)
					}
					// It begins anew, behind everything.
					r.at, r.seen, begins[n] = after(index), nil, len(logged)
					continue
				}
				if next.Before(r.at) {
					t.Fatalf("from %v back to %v", r.at, next)
				}
				for _, e := range events {
					r.seen = append(r.seen, told(e.Change, e.Next))
				}
				r.at = next
				want := logged[begins[n]:]
				if len(r.seen) > len(want) || fmt.Sprint(r.seen) != fmt.Sprint(want[:len(r.seen)]) {
					t.Fatalf("saw %v\nof %v", r.seen, want)
				}
				if r.at == after(index) && len(r.seen) != len(want) {
					t.Fatalf("is at the tail and saw %d of %d", len(r.seen), len(want))
				}
			}
		}
		if _, now, err := ring.Start(after(index)); err != nil || *now != held {
			t.Fatalf("the tail: %v, or other holdings", err)
		}
	})
}

func drawChanges(t *rapid.T) []fsm.Change {
	var changes []fsm.Change
	for range rapid.IntRange(0, 5).Draw(t, "changes") {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			changes = append(changes, heldBy(fsm.ReleasedAway, 3, 4, fsm.Released, 9))
		case 1:
			changes = append(changes, heldBy(fsm.Held, 5, 6, fsm.Frozen, uint64(len(changes))))
		default:
			key := rapid.SampledFrom([]string{"a1", "a2", "b1", "b2"}).Draw(t, "key")
			changes = append(changes, putOf(key, rapid.Uint64().Draw(t, "version"), rapid.IntRange(0, 900).Draw(t, "value")))
		}
	}
	return changes
}

func checkBounds(t *rapid.T, ring *Ring, limit int, newest []fsm.Change) {
	entry, bytes := 0, 0
	for i := range newest {
		entry += (&record{change: newest[i]}).bytes()
	}
	for i := range ring.count {
		bytes += ring.at(i).bytes()
	}
	if bytes != ring.bytes || bytes > max(limit, entry) && entry > 0 {
		t.Fatalf("holds %d bytes and counts %d, of %d, the newest entry has %d", bytes, ring.bytes, limit, entry)
	}
}

func TestAPositionInsideAnEntry(t *testing.T) {
	ring := NewRing(1 << 20)
	ring.Begin(1, &Holdings{})
	ring.Observe(2, []fsm.Change{putOf("a", 1, 1), putOf("a", 2, 1), putOf("a", 3, 1)})
	events, _, err := ring.Read(Position{Index: 2, Skip: 1}, all, 1<<20)
	if err != nil || len(events) != 2 || events[0].Version != 2 || events[1].Next != after(2) {
		t.Fatalf("%v, %v", events, err)
	}
}

func TestTheBeginningOfAShard(t *testing.T) {
	importing := Holdings{4: {State: fsm.Importing, Epoch: 3}}
	for name, c := range map[string]struct {
		held Holdings
		want error
	}{
		"nothing was ever here":           {Holdings{}, nil},
		"it is about to get its first":    {importing, nil},
		"it has something":                {Holdings{4: {State: fsm.Owned, Epoch: 3}}, ErrCompacted},
		"it had something and nobody saw": {Holdings{4: {State: fsm.None, Epoch: 3}}, ErrCompacted},
	} {
		ring := NewRing(1 << 20)
		ring.Begin(40, &c.held)
		from, _, err := ring.Start(Position{})
		if !errors.Is(err, c.want) || c.want == nil && from != after(40) {
			t.Errorf("%s: %v, %v", name, from, err)
		}
	}
}

func TestAPartitionIsHeldAsAtThePosition(t *testing.T) {
	ring := NewRing(1)
	ring.Begin(1, &Holdings{})
	ring.Observe(2, []fsm.Change{heldBy(fsm.Activated, 7, 8, fsm.Owned, 5)})
	ring.Observe(3, []fsm.Change{heldBy(fsm.Held, 7, 7, fsm.Frozen, 6), putOf("a", 1, 1)})
	if _, _, err := ring.Start(after(1)); !errors.Is(err, ErrCompacted) {
		t.Errorf("what was dropped: %v", err)
	}
	_, before, err := ring.Start(after(2))
	if err != nil || before[7] != (fsm.Holding{State: fsm.Owned, Epoch: 5}) {
		t.Errorf("before the freeze: %v, %v", before[7], err)
	}
	_, now, err := ring.Start(Position{Index: 3, Skip: 1})
	if err != nil || now[7] != (fsm.Holding{State: fsm.Frozen, Epoch: 6}) || now[8].State != fsm.Owned {
		t.Errorf("after it: %v, %v", now[7], err)
	}
}

func TestAnAssignmentIsABeginning(t *testing.T) {
	ring := NewRing(1 << 20)
	ring.Begin(1, &Holdings{})
	ring.Observe(2, []fsm.Change{heldBy(fsm.Assigned, 0, 1023, fsm.Owned, 1)})
	if _, _, err := ring.Start(Position{}); !errors.Is(err, ErrCompacted) {
		t.Errorf("the beginning: %v", err)
	}
	if _, held, err := ring.Start(after(2)); err != nil || held[1000].State != fsm.Owned {
		t.Errorf("after it: %v", err)
	}
}

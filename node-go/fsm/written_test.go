package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"kvorum/node/engine"
)

// TestAnEntryFitsIntoABatch: what one entry may write at most is below what the engine takes, else it would end every replica.
func TestAnEntryFitsIntoABatch(t *testing.T) {
	// Rows of sessions, values that appends make and touches write anew, one of each kind that always passes, and the entry itself.
	if most := keptBytesTop + appendedBytesMax + 3*ValueBytesMax + 8<<20; most > engine.BatchBytesMax {
		t.Errorf("an entry writes up to %d bytes, a batch takes %d", most, engine.BatchBytesMax)
	}
}

// TestTouchesOfAnEntryAreBounded: each writes its value anew, beside what appends make. What finds no room comes again.
func TestTouchesOfAnEntryAreBounded(t *testing.T) {
	f, _ := newest(t)
	value := string(bytes.Repeat([]byte("v"), 1<<20))
	list, again := writes(), writes()
	for i := range 70 {
		applyNewest(t, f, writes(put(fmt.Sprint(i), value)))
		list.GetWrite().Writes = append(list.GetWrite().Writes, touch(fmt.Sprint(i), 9))
	}
	for i, r := range applyNewest(t, f, list) {
		if fits := i < appendedBytesMax>>20; fits != (r.Err == nil) {
			t.Fatalf("touch %d: %v", i, r.Err)
		} else if !fits {
			requireCode(t, r.Err, overloaded)
			again.GetWrite().Writes = append(again.GetWrite().Writes, touch(fmt.Sprint(i), 9))
		}
	}
	for i, r := range applyNewest(t, f, again) {
		if r.Err != nil || !r.Existed {
			t.Fatalf("touch %d of those that came again: %+v", i, r)
		}
	}
}

// TestARefusalTellsAVersionThatStands: the one that the transaction itself had given is another write's afterwards.
func TestARefusalTellsAVersionThatStands(t *testing.T) {
	f, _ := newest(t)
	applyNewest(t, f, writes(put("k", "1")))
	twice := transact(nil, steps(put("k", "2"), put("k", "3", 9)), nil)
	fresh := transact(nil, steps(put("k", "2", 9)), nil)
	absent := transact(nil, steps(put("new", "2"), put("new", "3", 9)), nil)
	results := applyNewest(t, f, writes(twice, fresh, absent, put("k", "4"), twice))
	for i, want := range map[int]uint64{0: 1, 1: 1, 2: 0, 4: 2} {
		if err := results[i].Err; err == nil || err.Version != want {
			t.Errorf("result %d: %v tells version %d, want %d", i, err, err.Version, want)
		}
	}
}

package fsm

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

// observed is an Observer that remembers.
type observed struct {
	begins  []uint64
	entries []uint64
	changes []Change
}

func (o *observed) Begin(applied uint64, _ *[command.Partitions]Holding) {
	o.begins = append(o.begins, applied)
}

func (o *observed) Observe(index uint64, changes []Change) {
	o.entries = append(o.entries, index)
	o.changes = append(o.changes, changes...)
}

func observedFSM(t fataler, e engine.Engine) (*FSM, *observed) {
	t.Helper()
	o := &observed{}
	f, err := New(e, Options{Shard: 1, Log: quiet(), OnFatal: func(err error) { panic(err) }, Observer: o})
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	return f, o
}

func (c Change) String() string {
	if c.IsOfKey() {
		return fmt.Sprintf("%d %s=%s@%d", c.Kind, c.Key, c.Value, c.Version)
	}
	return fmt.Sprintf("%d %d-%d %v", c.Kind, c.First, c.Last, c.Holding)
}

// TestEveryWriteIsAChange: what observers are told, done in its order to nothing, gives what the engine holds after each entry; every write that was
// answered with a version is there once, also of the same key in the same entry; and what was refused is not.
func TestEveryWriteIsAChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, o := observedFSM(t, memory.New())
		apply(t, f, 1, everything(1))
		replayed, at := map[string]string{}, len(o.changes)
		f.Apply(entryIn(t, 2, &pb.Command{Kind: &pb.Command_Raise{Raise: &pb.RaiseFormat{Format: 3}}}, 3))
		for index := uint64(3); index < 12; index++ {
			list := rapid.SliceOfN(rapid.Custom(drawAnyWrite), 0, 6).Draw(t, "writes")
			applied := f.Apply(entryIn(t, index, writes(list...), 3)).(*Applied)
			var want []string
			for i, r := range applied.Results {
				if r.Err == nil && (r.Version > 0 || r.Existed) {
					want = append(want, fmt.Sprintf("%s %v %d", keyOf(list[i]), r.Existed, r.Version))
				}
			}
			var got []string
			for _, c := range o.changes[at:] {
				if c.Kind == Deleted {
					got = append(got, fmt.Sprintf("%s true 0", c.Key))
					delete(replayed, string(c.Key))
				} else {
					got = append(got, fmt.Sprintf("%s false %d", c.Key, c.Version))
					replayed[string(c.Key)] = fmt.Sprintf("%s@%d", c.Value, c.Version)
				}
			}
			if at = len(o.changes); !slices.Equal(got, want) {
				t.Fatalf("told %v, answered %v", got, want)
			}
			for _, key := range []string{"a", "b"} {
				record, found, err := f.Get([]byte(key))
				if err != nil {
					t.Fatal(err)
				}
				if is := fmt.Sprintf("%s@%d", record.Value, record.Version); found && replayed[key] != is || !found && replayed[key] != "" {
					t.Fatalf("%s is %s (%v), told %s", key, is, found, replayed[key])
				}
			}
		}
		if !slices.Equal(o.entries, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}) || !slices.Equal(o.begins, []uint64{0}) {
			t.Fatalf("entries %v, begun at %v", o.entries, o.begins)
		}
	})
}

func drawAnyWrite(t *rapid.T) *pb.Write {
	key := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
	value := rapid.SampledFrom([]string{"1", "23"}).Draw(t, "value")
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return remove(key)
	case 1:
		return put(key, value, rapid.Uint64Range(0, 3).Draw(t, "version"))
	case 2:
		return &pb.Write{Kind: &pb.Write_Append{Append: &pb.Append{Key: []byte(key), Value: []byte(value), Limit: 9}}}
	case 3:
		return increment(key, 4)
	case 4:
		return swap(key, []byte(value), "1")
	default:
		return put(key, value)
	}
}

// TestOwnershipIsAChange follows two partitions away and back, with the freeze that ends by itself.
func TestOwnershipIsAChange(t *testing.T) {
	f, o := observedFSM(t, memory.New())
	step := func(index uint64, step pb.MovePartitions_Step, epoch uint64) {
		t.Helper()
		if a := apply(t, f, index, move(step, epoch, span(3, 4))); a.Err != nil {
			t.Fatal(a.Err)
		}
	}
	apply(t, f, 1, everything(1))
	step(2, pb.MovePartitions_STEP_FREEZE, 2)
	late := writes()
	late.StampMs = 1_000_000
	apply(t, f, 3, late)
	step(4, pb.MovePartitions_STEP_FREEZE, 3)
	step(5, pb.MovePartitions_STEP_RELEASE, 3)
	apply(t, f, 6, swept(3, span(3, 4)))
	step(7, pb.MovePartitions_STEP_IMPORT, 4)
	apply(t, f, 8, complete(4, 0, span(3, 4)))
	step(9, pb.MovePartitions_STEP_ACTIVATE, 4)
	want := []Change{
		{Kind: Assigned, Last: 1023, Holding: Holding{Owned, 1}},
		{Kind: Held, First: 3, Last: 4, Holding: Holding{Frozen, 2}},
		{Kind: Held, First: 3, Last: 4, Holding: Holding{Owned, 2}},
		{Kind: Held, First: 3, Last: 4, Holding: Holding{Frozen, 3}},
		{Kind: ReleasedAway, First: 3, Last: 4, Holding: Holding{Released, 3}},
		{Kind: Held, First: 3, Last: 4, Holding: Holding{None, 3}},
		{Kind: Held, First: 3, Last: 4, Holding: Holding{Importing, 4}},
		{Kind: Held, First: 3, Last: 4, Holding: Holding{Imported, 4}},
		{Kind: Activated, First: 3, Last: 4, Holding: Holding{Owned, 4}},
	}
	if fmt.Sprint(o.changes) != fmt.Sprint(want) {
		t.Errorf("told %v\nwant %v", o.changes, want)
	}
}

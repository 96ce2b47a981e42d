package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

func exported(t *testing.T, f *FSM, epoch uint64, ranges ...*pb.PartitionRange) *Export {
	t.Helper()
	x, err := f.Export(epoch, ranges)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// requireChanged takes what has changed, without waiting.
func requireChanged(t *testing.T, x *Export, frozen bool, keys ...string) []Floor {
	t.Helper()
	changed, floors, err := x.Changed(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(changed)); !slices.Equal(got, keys) || (floors != nil) != frozen {
		t.Fatalf("changed %q, frozen %v; want %q, %v", got, floors, keys, frozen)
	}
	return floors
}

func TestAnExportIsAViewAndWhatChangesAfterIt(t *testing.T) {
	f := owner(t)
	number := command.Partition([]byte("{k}"))
	mine := span(uint32(number), uint32(number))
	other := keyIn(t, (number+1)%command.Partitions)
	mustApply(t, f, writes(put("{k}1", "a"), put("{k}2", "b"), put(other, "x")))
	x := exported(t, f, 2, mine)
	mustApply(t, f, writes(put("{k}1", "c"), put("{k}3", "d"), remove("{k}2"), put(other, "y")))
	found := map[string]string{}
	if err := x.Records(func(r engine.Record) bool { found[string(r.Key)] = string(r.Value); return true }); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found["{k}1"] != "a" || found["{k}2"] != "b" {
		t.Fatalf("the view holds %v", found)
	}
	requireChanged(t, x, false, "{k}1", "{k}2", "{k}3")
	requireChanged(t, x, false)
	if r, found, err := x.Get("{k}3"); err != nil || !found || string(r.Value) != "d" || string(r.Key) != "{k}3" {
		t.Fatalf("%v %v %v", r, found, err)
	}
	// What the freeze comes after is there with it, and nothing later is.
	mustApply(t, f, writes(put("{k}1", "last")), move(stepFreeze, 2, mine), writes(put("{k}1", "late"), put(other, "z")))
	floors := requireChanged(t, x, true, "{k}1")
	if len(floors) != 1 || floors[0] != (Floor{Partition: number, Version: 1}) {
		t.Fatalf("floors %v", floors)
	}
	if r, _, err := x.Get("{k}1"); err != nil || string(r.Value) != "last" || x.Err() != nil {
		t.Fatalf("%s %v %v", r.Value, err, x.Err())
	}
}

// The view and the changes meet at one entry, wherever others write meanwhile: each entry writes a key of its own, so that none
// may be missing between the last of the view and the first that has changed.
func TestAnExportMissesNothing(t *testing.T) {
	f := owner(t)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				applyNext(t, f, writes(put(fmt.Sprintf("%08d", n), "v")))
			}
		}
	}()
	for range 200 {
		x, refused := f.Export(2, []*pb.PartitionRange{all()})
		if refused != nil {
			t.Fatal(refused)
		}
		n := 0
		if err := x.Records(func(engine.Record) bool { n++; return true }); err != nil {
			t.Fatal(err)
		}
		changed, _, err := x.Changed(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		if first := slices.Min(slices.Collect(maps.Keys(changed))); first != fmt.Sprintf("%08d", n) {
			t.Fatalf("the view holds %d keys, and the first that has changed is %s", n, first)
		}
		x.Close()
	}
	close(stop)
	<-done
}

func TestWhatVoidsAnExport(t *testing.T) {
	source := owner(t)
	for index := uint64(2); index < 20; index++ {
		apply(t, source, index, writes())
	}
	for name, c := range map[string]struct {
		do   func(f *FSM)
		want error
	}{
		"a thaw":                 {func(f *FSM) { mustApply(t, f, move(stepFreeze, 2, all()), move(stepThaw, 2, all())) }, errNotFrozen},
		"a thaw before":          {func(f *FSM) { mustApply(t, f, move(stepThaw, 2, span(3, 3))) }, errNotFrozen},
		"a release":              {func(f *FSM) { release(t, f, 2, all()) }, errNotFrozen},
		"another move":           {func(f *FSM) { release(t, f, 3, span(3, 3)) }, errNotFrozen},
		"the end of the freeze":  {func(f *FSM) { mustApply(t, f, move(stepFreeze, 2, all()), at(freezeMs, writes())) }, errNotFrozen},
		"a snapshot from a peer": {func(f *FSM) { _ = f.Restore(stream(t, source.engine)) }, errRestored},
	} {
		t.Run(name, func(t *testing.T) {
			f := owner(t)
			x := exported(t, f, 2, all())
			c.do(f)
			if _, _, err := x.Changed(t.Context(), true); !errors.Is(err, c.want) || !errors.Is(x.Err(), c.want) {
				t.Fatalf("%v, %v", err, x.Err())
			}
		})
	}
}

// Whoever reads too slowly is given up: Apply waits for nobody, and keeps no more than so much for it.
func TestAnExportIsBounded(t *testing.T) {
	f := owner(t)
	x := exported(t, f, 2, all())
	x.max = 3 * (exportedKeyBytes + 1)
	mustApply(t, f, writes(put("a", "1"), put("b", "1"), put("c", "1"), put("a", "2")))
	requireChanged(t, x, false, "a", "b", "c")
	mustApply(t, f, writes(put("a", "1"), put("b", "1")), writes(put("c", "1"), put("d", "1")))
	if _, _, err := x.Changed(t.Context(), true); !errors.Is(err, errTooManyChanges) {
		t.Fatal(err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.bytes != 0 || x.changed != nil {
		t.Fatalf("it keeps %d bytes", x.bytes)
	}
}

func TestWhatCannotBeExported(t *testing.T) {
	f := newFSM(t, memory.New())
	mustApply(t, f, assign(3, span(0, 9)), move(stepFreeze, 4, span(0, 0)))
	for name, c := range map[string]struct {
		epoch uint64
		r     *pb.PartitionRange
	}{
		"frozen": {5, span(0, 1)}, "foreign": {5, span(9, 10)}, "an epoch that is over": {3, span(1, 2)},
	} {
		_, err := f.Export(c.epoch, []*pb.PartitionRange{c.r})
		if codeOf(err) != errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.Export(5, nil); codeOf(err) != errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
		t.Errorf("nothing: %v", err)
	}
	exported(t, f, 5, span(1, 2))
	f.Close()
}

func TestWaitingForChanges(t *testing.T) {
	f := owner(t)
	x := exported(t, f, 2, all())
	got := make(chan error, 1)
	wait := func() {
		_, _, err := x.Changed(t.Context(), true)
		got <- err
	}
	go wait()
	mustApply(t, f, writes(put("k", "v")))
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	go wait()
	mustApply(t, f, move(stepFreeze, 2, all()))
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	y := exported(t, owner(t), 2, all())
	go func() {
		_, _, err := y.Changed(t.Context(), true)
		got <- err
	}()
	y.fsm.Close()
	if err := <-got; !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
}

// countedGets counts how often its engine is asked for a key.
type countedGets struct {
	engine.Engine
	gets int
}

func (e *countedGets) Get(key []byte) (engine.Record, bool, error) {
	e.gets++
	return e.Engine.Get(key)
}

func TestAnExportAsksForLeasesWhereThereAreAny(t *testing.T) {
	f, _ := newest(t)
	must(t, f, writes(put("k", "v")))
	x := exported(t, f, 2, all())
	counted := &countedGets{Engine: f.engine}
	f.engine = counted
	require := func(want []byte, gets int) {
		t.Helper()
		counted.gets = 0
		if got, err := x.Lease([]byte("k")); err != nil || !bytes.Equal(got, want) || counted.gets != gets {
			t.Fatalf("lease %x, %v, after %d looks; want %x after %d", got, err, counted.gets, want, gets)
		}
	}
	id := leaseID(1)
	require(nil, 0)
	must(t, f, writes(grant(1, 5_000, all()), leased("k", "w", 1)))
	require(id[:], 1)
	if again := newFSM(t, counted.Engine); !again.attached.Load() {
		t.Fatal("a restart does not know of the key of a lease")
	}
	must(t, f, writes(put("k", "free")))
	require(nil, 0)
}

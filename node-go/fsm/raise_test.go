package fsm

import (
	"bytes"
	"testing"

	"kvorum/node/engine/memory"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

func raise(format uint32) *pb.Command {
	return &pb.Command{Kind: &pb.Command_Raise{Raise: &pb.RaiseFormat{Format: format}}}
}

// applyIn is apply of a command in a format.
func applyIn(t fataler, f *FSM, index uint64, c *pb.Command, format uint32) *Applied {
	t.Helper()
	return f.Apply(entryIn(t, index, c, format)).(*Applied)
}

func TestTheFormatIsRaisedForGood(t *testing.T) {
	f := owner(t)
	if f.Format() != 1 {
		t.Fatalf("it begins with format %d", f.Format())
	}
	if a := apply(t, f, 2, raise(2)); a.Err != nil || a.Already || f.Format() != 2 {
		t.Fatalf("got %+v, format %d", a, f.Format())
	}
	if a := apply(t, f, 3, raise(2)); a.Err != nil || !a.Already || f.Format() != 2 {
		t.Fatalf("again: got %+v, format %d", a, f.Format())
	}
	// What was proposed before the raise was applied comes after it in the log.
	applyIn(t, f, 4, writes(put("k", "old")), 1)
	applyIn(t, f, 5, writes(put("k", "new")), 2)
	requireValue(t, f, "k", "new", 2)
	again, restored := newFSM(t, f.engine), newFSM(t, memory.New())
	if err := restored.Restore(stream(t, f.engine)); err != nil {
		t.Fatal(err)
	}
	if again.Format() != 2 || restored.Format() != 2 || !bytes.Equal(content(t, restored.engine), content(t, f.engine)) {
		t.Fatalf("format %d after a start, %d from a snapshot", again.Format(), restored.Format())
	}
}

func TestANodeOfTheVersionBeforeStopsAtTheRaise(t *testing.T) {
	cause := stopsKnowing(t, owner(t).engine, 1, entry(t, 9, raise(2)))
	requireCode(t, cause, errpb.ErrorCode_ERROR_CODE_UNSUPPORTED)
	f := owner(t)
	apply(t, f, 2, raise(2))
	_, err := New(f.engine, Options{Shard: 1, FormatMax: 1, Log: quiet()})
	requireCode(t, err, errpb.ErrorCode_ERROR_CODE_UNSUPPORTED)
	fatal := make(chan error, 1)
	old, err := New(memory.New(), Options{Shard: 1, FormatMax: 1, Log: quiet(), OnFatal: func(err error) { fatal <- err }})
	if err != nil {
		t.Fatal(err)
	}
	restored := make(chan error)
	go func() { restored <- old.Restore(stream(t, f.engine)) }()
	requireCode(t, <-fatal, errpb.ErrorCode_ERROR_CODE_UNSUPPORTED)
	old.Close()
	if <-restored == nil {
		t.Fatal("it restored what it does not know")
	}
}

// No leader proposes it: its shard would lose every node of the version before, which nobody has agreed to.
func TestAFormatThatWasNotRaisedStopsIt(t *testing.T) {
	requireCode(t, stopsFor(t, owner(t).engine, entryIn(t, 9, writes(put("k", "v")), 2)), errpb.ErrorCode_ERROR_CODE_CORRUPT)
}

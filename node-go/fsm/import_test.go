package fsm

import (
	"strings"
	"testing"

	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

// importing is a state machine that owns the first half of the partitions, and imports the second in epoch 5. The keys are one
// of each.
func importing(t *testing.T) (f *FSM, mine, theirs string) {
	t.Helper()
	f = newFSM(t, memory.New())
	half := uint32(command.Partitions / 2)
	mustApply(t, f, assign(1, span(0, half-1)), move(stepImport, 5, span(half, command.Partitions-1)))
	return f, keyIn(t, 3), keyIn(t, uint16(half))
}

// Either all of an entry is taken or nothing, so that neither a late nor a wrong one touches what belongs to anybody.
func TestOnlyWhatIsBeingImportedIsTaken(t *testing.T) {
	f, mine, theirs := importing(t)
	mustApply(t, f, writes(put(mine, "v")))
	good := record(theirs, "v", 4)
	removed := &pb.Command{Kind: &pb.Command_Import{Import: &pb.ImportRecords{
		Epoch: 5, Records: []*pb.ImportedRecord{good}, Removed: [][]byte{[]byte(mine)},
	}}}
	doubled := complete(5, 0, span(600, 601), span(601, 601))
	for name, c := range map[string]struct {
		command *pb.Command
		code    errpb.ErrorCode
	}{
		"a key that is owned":        {records(5, good, record(mine, "x", 9)), errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED},
		"a removal that is owned":    {removed, errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED},
		"an earlier epoch":           {records(4, good), errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED},
		"a later epoch":              {records(6, good), errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED},
		"a partition that is owned":  {complete(5, 0, span(3, 3)), errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED},
		"a partition that is none":   {complete(5, 0, span(1024, 1024)), errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		"a partition twice":          {doubled, errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		"no version":                 {records(5, good, record(theirs, "x", 0)), errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		"no key":                     {records(5, good, record("", "x", 1)), errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		"a value that is too large":  {records(5, good, record(theirs, strings.Repeat("x", ValueBytesMax+1), 1)), errpb.ErrorCode_ERROR_CODE_TOO_LARGE},
		"another partition of the 2": {complete(5, 0, span(600, 600), span(2, 2)), errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED},
	} {
		if a := applyNext(t, f, c.command); codeOf(a.Err) != c.code {
			t.Errorf("%s: %v", name, a.Err)
		}
		if _, found, err := f.engine.Get(userKey([]byte(theirs))); found || err != nil {
			t.Errorf("%s: a part of it was taken (%v)", name, err)
		}
	}
	requireValue(t, f, mine, "v", 1)
	if f.Partitions()[600].State != Importing {
		t.Fatal("a partition was completed by an entry that was refused")
	}
}

func TestRecordsComeAsTheyWere(t *testing.T) {
	f, _, theirs := importing(t)
	half := uint32(command.Partitions / 2)
	removed := &pb.Command{Kind: &pb.Command_Import{Import: &pb.ImportRecords{Epoch: 5, Removed: [][]byte{[]byte(theirs)}}}}
	mustApply(t, f, records(5, record(theirs, "v", 4)), records(5, record(theirs, "w", 9)))
	other := keyIn(t, uint16(half+1))
	mustApply(t, f, records(5, record(other, "kept", 12)), removed, complete(5, 9, span(half, half)))
	// It is complete: nothing more is taken.
	requireCode(t, applyNext(t, f, records(5, record(theirs, "x", 10))).Err, errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
	mustApply(t, f, complete(5, 0, span(half+1, command.Partitions-1)), move(stepActivate, 5, span(half, command.Partitions-1)))
	requireAbsent(t, f, theirs)
	requireValue(t, f, other, "kept", 12)
	mustApply(t, f, writes(put(theirs, "new")))
	requireValue(t, f, theirs, "new", 10)
}

// A floor that was given here before does not sink.
func TestAFloorNeverSinks(t *testing.T) {
	f := owner(t)
	mustApply(t, f, writes(put("k", "1"), put("k", "2"), remove("k")))
	release(t, f, 2, all())
	mustApply(t, f, swept(2, all()), move(stepImport, 3, all()), complete(3, 1, all()), move(stepActivate, 3, all()), writes(put("k", "3")))
	requireValue(t, f, "k", "3", 3)
}

func TestOnlyWhatIsReleasedIsSwept(t *testing.T) {
	f := owner(t)
	mine, theirs := keyIn(t, 3), keyIn(t, 600)
	mustApply(t, f, writes(put(mine, "v"), put(theirs, "v")))
	release(t, f, 2, span(600, 600))
	mustApply(t, f, sweep(mine, theirs), swept(2, span(0, 1023)))
	requireValue(t, f, mine, "v", 1)
	if _, found, err := f.engine.Get(userKey([]byte(theirs))); found || err != nil {
		t.Fatalf("it was not swept: %v", err)
	}
	if f.Partitions()[600] != (Holding{State: None, Epoch: 2}) || f.Partitions()[3] != (Holding{State: Owned, Epoch: 1}) {
		t.Fatalf("%v %v", f.Partitions()[600], f.Partitions()[3])
	}
	requireCode(t, applyNext(t, f, sweep("")).Err, errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	requireCode(t, applyNext(t, f, sweep(strings.Repeat("k", 1<<16))).Err, errpb.ErrorCode_ERROR_CODE_TOO_LARGE)
	requireCode(t, applyNext(t, f, swept(2, span(0, 1024))).Err, errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}

// "Nothing is left" is about one release. Since then the partition may have got other records, and been released again: if a late
// copy were believed, the next import would find them.
func TestALateSweepSaysNothingOfALaterRelease(t *testing.T) {
	f := owner(t)
	release(t, f, 2, all())
	mustApply(t, f, swept(2, all()), move(stepImport, 3, all()), records(3, record("k", "stale", 7)), move(stepDiscard, 3, all()))
	mustApply(t, f, swept(2, all()))
	if got := f.Partitions()[0]; got != (Holding{State: Released, Epoch: 3}) {
		t.Fatalf("%v", got)
	}
	requireCode(t, applyNext(t, f, move(stepImport, 4, all())).Err, errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
	mustApply(t, f, sweep("k"), swept(3, all()), move(stepImport, 4, all()), complete(4, 0, all()), move(stepActivate, 4, all()))
	requireAbsent(t, f, "k")
}

func TestKeysOfPartitionsAreWalked(t *testing.T) {
	f := owner(t)
	mustApply(t, f, writes(put("a", "1"), put("b", "2"), put("c", "3")))
	var found []string
	only := command.Partition([]byte("b"))
	err := f.Keys(func(number uint16) bool { return number == only }, func(key []byte) bool {
		found = append(found, string(key))
		return true
	})
	if err != nil || len(found) != 1 || found[0] != "b" {
		t.Fatalf("%q %v", found, err)
	}
	calls := 0
	if err := f.Keys(func(uint16) bool { return true }, func([]byte) bool { calls++; return calls < 2 }); err != nil || calls != 2 {
		t.Fatalf("%d calls, %v", calls, err)
	}
}

package fsm

import (
	"fmt"
	"testing"

	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

var ownershipNames = [...]string{"none", "owned", "frozen", "importing", "imported", "released"}

// rules are what a step makes of a partition: "state epoch" -> step -> the state that follows, "same" when the step was done
// before; whatever is not here is refused. The epoch is that of the row, beside the step's.
var rules = map[string]map[pb.MovePartitions_Step]string{
	"none smaller":     {stepImport: "importing", stepDiscard: "none"},
	"none equal":       {stepRelease: "same", stepDiscard: "same"},
	"owned smaller":    {stepFreeze: "frozen", stepThaw: "owned"},
	"owned equal":      {stepThaw: "same", stepActivate: "same"},
	"frozen equal":     {stepFreeze: "same", stepThaw: "owned", stepRelease: "released"},
	"importing equal":  {stepImport: "same", stepDiscard: "released"},
	"imported equal":   {stepImport: "same", stepActivate: "owned", stepDiscard: "released"},
	"released equal":   {stepRelease: "same", stepDiscard: "same"},
	"frozen smaller":   {},
	"released smaller": {},
}

// in is a state machine whose partition 7 is in a state since an epoch; all others are nobody's.
func in(t *testing.T, state Ownership, epoch uint64) *FSM {
	t.Helper()
	f := newFSM(t, memory.New())
	seven := span(7, 7)
	switch state {
	case None:
		mustApply(t, f, move(stepDiscard, epoch, seven))
	case Owned:
		mustApply(t, f, assign(epoch, seven))
	case Frozen:
		mustApply(t, f, assign(1, seven), move(stepFreeze, epoch, seven))
	case Importing:
		mustApply(t, f, assign(1), move(stepImport, epoch, seven))
	case Imported:
		mustApply(t, f, assign(1), move(stepImport, epoch, seven), complete(epoch, 0, seven))
	default:
		mustApply(t, f, assign(1, seven), move(stepFreeze, epoch, seven), move(stepRelease, epoch, seven))
	}
	if got := f.Partitions()[7]; got != (Holding{State: state, Epoch: epoch}) {
		t.Fatalf("the partition is %v, should be %v", got, state)
	}
	return f
}

func TestEveryStepInEveryState(t *testing.T) {
	for state := None; state < ownerships; state++ {
		for step := stepImport; step <= stepDiscard; step++ {
			for relation, epoch := range map[string]uint64{"smaller": 9, "equal": 10, "greater": 11} {
				name := ownershipNames[state] + " " + relation
				t.Run(fmt.Sprintf("%s in %s", step, name), func(t *testing.T) {
					f := in(t, state, epoch)
					before := f.state.partitions[7]
					a := applyNext(t, f, move(step, 10, span(7, 7)))
					requireStep(t, f, a, before, rules[name][step])
				})
			}
		}
	}
}

func requireStep(t *testing.T, f *FSM, a *Applied, before partition, want string) {
	t.Helper()
	after := f.state.partitions[7]
	switch want {
	case "":
		if e := requireCode(t, a.Err, errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED); e.Epoch != before.Epoch {
			t.Fatalf("the refusal names epoch %d, not %d", e.Epoch, before.Epoch)
		}
		if after != before {
			t.Fatalf("refused, and changed %+v to %+v", before, after)
		}
	case "same":
		if a.Err != nil || !a.Already || after != before {
			t.Fatalf("done before: %+v, %+v became %+v", a, before, after)
		}
	default:
		if a.Err != nil || a.Already || ownershipNames[after.State] != want || after.Epoch != 10 {
			t.Fatalf("%+v: %+v became %+v, want %s", a, before, after, want)
		}
	}
	again := newFSM(t, f.engine)
	if *again.table.Load() != *f.table.Load() || again.state.partitions != f.state.partitions || again.state.thawMs != f.state.thawMs {
		t.Fatal("a restart sees something else")
	}
}

func TestMovesThatAreNone(t *testing.T) {
	f := owner(t)
	endless, long := move(stepFreeze, 5, all()), move(stepFreeze, 5, all())
	endless.GetMove().FreezeMs, long.GetMove().FreezeMs = 0, FreezeMsMax+1
	for name, c := range map[string]*pb.Command{
		"no epoch": move(stepFreeze, 0, all()), "no partitions": move(stepFreeze, 5), "a range that is none": move(stepFreeze, 5, span(3, 2)),
		"twice": move(stepFreeze, 5, span(1, 3), span(3, 3)), "endless": endless, "too long": long,
	} {
		if a := applyNext(t, f, c); codeOf(a.Err) != errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
			t.Errorf("%s: %v", name, a.Err)
		}
	}
}

// One partition that does not allow it keeps all others as they are.
func TestAStepIsForAllPartitionsOrForNone(t *testing.T) {
	f := owner(t)
	mustApply(t, f, move(stepFreeze, 5, span(4, 4)))
	before := f.state.partitions
	a := applyNext(t, f, move(stepFreeze, 4, span(0, 9)))
	if e := requireCode(t, a.Err, errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED); e.Epoch != 5 || f.state.partitions != before {
		t.Fatalf("epoch %d, changed: %v", e.Epoch, f.state.partitions != before)
	}
	// Some of it done before: the rest is done.
	mustApply(t, f, move(stepFreeze, 5, span(0, 9)))
	if f.Partitions()[0].State != Frozen || f.Partitions()[9].State != Frozen || f.Partitions()[10].State != Owned {
		t.Fatalf("%v", f.Partitions()[:11])
	}
}

func TestAFrozenPartitionIsReadOnly(t *testing.T) {
	f, id := opened(t, 60_000)
	mustApply(t, f, writes(put("k", "v")), move(stepFreeze, 2, all()))
	requireValue(t, f, "k", "v", 1)
	for _, c := range []*pb.Command{writes(put("k", "w")), once(id, 1, 1, put("k", "w"))} {
		e := requireCode(t, applyNext(t, f, c).Results[0].Err, errpb.ErrorCode_ERROR_CODE_MOVING)
		if e.RetryAfterMs == 0 || e.RetryAfterMs > 20 || e.Outcome != errpb.Outcome_OUTCOME_NOT_APPLIED {
			t.Fatalf("%+v", e)
		}
	}
	requireValue(t, f, "k", "v", 1)
	mustApply(t, f, move(stepThaw, 2, all()))
	// The refusal was about the moment: the same number is applied now.
	if r := applyNext(t, f, once(id, 1, 1, put("k", "w"))).Results[0]; r.Err != nil || r.Version != 2 {
		t.Fatalf("%+v", r)
	}
}

// Whoever knows already that a partition comes here waits, rather than going back and forth.
func TestAnImportedPartitionIsNotServedYet(t *testing.T) {
	f := newFSM(t, memory.New())
	mustApply(t, f, assign(1), move(stepImport, 2, all()), records(2, record("k", "v", 7)))
	for range 2 {
		_, _, err := f.Get([]byte("k"))
		requireCode(t, err, errpb.ErrorCode_ERROR_CODE_MOVING)
		requireCode(t, applyNext(t, f, writes(put("k", "w"))).Results[0].Err, errpb.ErrorCode_ERROR_CODE_MOVING)
		applyNext(t, f, complete(2, 9, all()))
	}
	mustApply(t, f, move(stepActivate, 2, all()))
	requireValue(t, f, "k", "v", 7)
	if r := applyNext(t, f, writes(remove("k"), put("k", "w"), put("new", "v"))).Results; r[1].Version != 10 || r[2].Version != 10 {
		t.Fatalf("versions %d and %d after the floor 9", r[1].Version, r[2].Version)
	}
	if f.OwnershipEpoch() != 2 {
		t.Fatalf("epoch %d", f.OwnershipEpoch())
	}
}

// A freeze ends by itself in log time, with whatever entry comes then, and that is final.
func TestAFreezeEndsInLogTime(t *testing.T) {
	for name, c := range map[string]*pb.Command{
		"release": move(stepRelease, 2, all()), "write": writes(put("k", "w")), "another freeze": move(stepFreeze, 3, all()),
	} {
		t.Run(name, func(t *testing.T) {
			f := owner(t)
			mustApply(t, f, at(500, move(stepFreeze, 2, all())))
			requireCode(t, applyNext(t, f, at(500+freezeMs-1, writes(put("k", "w")))).Results[0].Err, errpb.ErrorCode_ERROR_CODE_MOVING)
			f = newFSM(t, f.engine)
			a := applyNext(t, f, at(500+freezeMs, c))
			switch name {
			case "release":
				requireCode(t, a.Err, errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
			case "write":
				requireValue(t, f, "k", "w", 1)
			}
			if want := f.Partitions()[0]; name != "another freeze" && want != (Holding{State: Owned, Epoch: 2}) {
				t.Fatalf("%v", want)
			}
			for _, late := range []*pb.Command{move(stepRelease, 2, all()), move(stepFreeze, 2, all())} {
				requireCode(t, applyNext(t, f, late).Err, errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
			}
			if again := newFSM(t, f.engine); !sameState(again.state, f.state) {
				t.Fatalf("a restart sees another state: thaw at %d, %d", again.state.thawMs, f.state.thawMs)
			}
		})
	}
}

// What is refused without an entry is what Apply would refuse in that entry.
func TestFrozenIsWhatApplyWouldSay(t *testing.T) {
	for _, ms := range []uint64{500, 500 + freezeMs - 1, 500 + freezeMs} {
		f := owner(t)
		if f.AnyFrozen() {
			t.Fatal("nothing is frozen")
		}
		mustApply(t, f, at(500, move(stepFreeze, 2, all())))
		if !f.AnyFrozen() || f.Frozen(open(1, 60_000), ms) != nil {
			t.Fatal("a session is of no partition")
		}
		told := f.Frozen(put("k", "w"), ms)
		applied := applyNext(t, f, at(ms, writes(put("k", "w")))).Results[0].Err
		if (told == nil) != (applied == nil) || told != nil && (told.Code != applied.Code || told.RetryAfterMs != applied.RetryAfterMs) {
			t.Fatalf("at %d: %v, and Apply says %v", ms, told, applied)
		}
	}
	f := owner(t)
	release(t, f, 2, all())
	if f.AnyFrozen() || f.Frozen(put("k", "w"), 0) != nil {
		t.Fatal("a refusal that is kept needs its entry")
	}
}

func TestFreezesEndOneByOne(t *testing.T) {
	f := owner(t)
	mustApply(t, f, at(100, move(stepFreeze, 2, span(0, 0))), at(300, move(stepFreeze, 3, span(1, 1))), at(1099, writes()))
	if f.Partitions()[0].State != Frozen {
		t.Fatal("too early")
	}
	mustApply(t, f, at(1100, writes()))
	if f.Partitions()[0].State != Owned || f.Partitions()[1].State != Frozen {
		t.Fatalf("%v", f.Partitions()[:2])
	}
	mustApply(t, f, at(1300, writes()))
	if f.Partitions()[1].State != Owned || f.state.thawMs != 0 {
		t.Fatalf("%v, thaw at %d", f.Partitions()[1], f.state.thawMs)
	}
}

// A shard answers for the numbers that it was given, whoever owns the key by now: the first result, if it was applied here, and
// else a refusal that it keeps, even when the partition is back.
func TestAnswersStayWithTheirShard(t *testing.T) {
	f, id := opened(t, 60_000)
	first := applyNext(t, f, once(id, 1, 1, add("k", "a"))).Results[0]
	same := func() {
		t.Helper()
		if r := applyNext(t, f, once(id, 1, 1, add("k", "a"))).Results[0]; r != first {
			t.Fatalf("answered %+v, first %+v", r, first)
		}
	}
	mustApply(t, f, move(stepFreeze, 2, all()))
	same()
	mustApply(t, f, move(stepRelease, 2, all()))
	same()
	refused := once(id, 1, 2, add("k", "b"))
	requireCode(t, applyNext(t, f, refused).Results[0].Err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD)
	mustApply(t, f, sweep("k"), swept(2, all()), move(stepImport, 3, all()), records(3, record("k", "ac", 2)))
	same()
	mustApply(t, f, complete(3, 0, all()), move(stepActivate, 3, all()))
	same()
	requireCode(t, applyNext(t, f, refused).Results[0].Err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD)
	requireValue(t, f, "k", "ac", 2)
}

func TestAnAssignmentIsTheFirstThingOnly(t *testing.T) {
	for name, c := range map[string]*pb.Command{
		"an import": move(stepImport, 2, span(3, 3)), "a discard": move(stepDiscard, 2, span(3, 3)),
	} {
		f := newFSM(t, memory.New())
		mustApply(t, f, c)
		if a := applyNext(t, f, assign(5, span(0, 1))); codeOf(a.Err) != errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED {
			t.Errorf("after %s: %v", name, a.Err)
		}
	}
	f := newFSM(t, memory.New())
	mustApply(t, f, assign(5))
	if f.OwnershipEpoch() != 5 {
		t.Fatalf("a shard that was given nothing is of epoch %d", f.OwnershipEpoch())
	}
	mustApply(t, f, assign(5), move(stepImport, 6, span(3, 3)))
	requireCode(t, applyNext(t, f, assign(5)).Err, errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
}

func TestARestoreBringsMovesAlong(t *testing.T) {
	source := owner(t)
	mustApply(t, source, at(50, move(stepFreeze, 2, span(0, 3))), move(stepFreeze, 3, span(9, 9)), move(stepRelease, 3, span(9, 9)))
	f := newFSM(t, memory.New())
	if err := f.Restore(stream(t, source.engine)); err != nil {
		t.Fatal(err)
	}
	if !sameState(f.state, source.state) || *f.table.Load() != *source.table.Load() {
		t.Fatal("the state differs from the source's")
	}
	for _, one := range []*FSM{f, source} {
		mustApply(t, one, at(50+freezeMs, writes()))
		if one.Partitions()[0].State != Owned {
			t.Fatal("a freeze that was restored does not end")
		}
	}
	if string(content(t, f.engine)) != string(content(t, source.engine)) {
		t.Fatal("the content differs")
	}
}

func TestRowsOfPartitionsThatMove(t *testing.T) {
	p := partition{Holding: Holding{State: Frozen, Epoch: 2}, floor: 3, until: 0x0102}
	if got := fmt.Sprintf("%x", p.encode()); got != "02"+"0200000000000000"+"0300000000000000"+"0201000000000000" {
		t.Fatal(got)
	}
	p.State = Released
	if got := fmt.Sprintf("%x", p.encode()); got != "05"+"0200000000000000"+"0300000000000000" {
		t.Fatal(got)
	}
	if command.Partitions != 1024 {
		t.Fatal("rows hold two bytes of the number")
	}
}

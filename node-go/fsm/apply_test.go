package fsm

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
)

func TestAVersionIsNeverUsedAgain(t *testing.T) {
	f := owner(t)
	apply(t, f, 2, writes(put("k", "1"), put("k", "2"), put("k", "3")))
	requireValue(t, f, "k", "3", 3)
	apply(t, f, 3, writes(remove("k")))
	requireAbsent(t, f, "k")
	apply(t, f, 4, writes(put("k", "again")))
	requireValue(t, f, "k", "again", 4)
	apply(t, f, 5, writes(remove("k"), put("k", "x"), remove("k"), put("k", "y")))
	requireValue(t, f, "k", "y", 6)
	if f = newFSM(t, f.engine); f.state.partitions[command.Partition([]byte("k"))].floor != 5 {
		t.Fatal("the floor was not written")
	}
}

// A client that saw version 3 before a delete must not succeed with a condition on it afterwards.
func TestConditions(t *testing.T) {
	f := owner(t)
	a := apply(t, f, 2, writes(
		put("k", "a", 0), put("k", "b", 0), put("k", "b", 1), remove("k", 7), remove("k", 2), remove("k", 0), put("k", "c", 0), put("k", "d", 2)))
	for i, want := range []struct {
		code    errpb.ErrorCode
		version uint64 // of the result, or of the refusal
		existed bool
	}{
		{version: 1},
		{code: errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, version: 1},
		{version: 2},
		{code: errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, version: 2},
		{existed: true},
		{existed: false},
		{version: 3},
		{code: errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, version: 3},
	} {
		got := a.Results[i]
		if codeOf(got.Err) != want.code || got.Existed != want.existed {
			t.Errorf("write %d: %+v", i, got)
		}
		version := got.Version
		if got.Err != nil {
			version = got.Err.Version
			if got.Err.Outcome != errpb.Outcome_OUTCOME_NOT_APPLIED {
				t.Errorf("write %d: outcome %v", i, got.Err.Outcome)
			}
		}
		if version != want.version {
			t.Errorf("write %d: version %d, want %d", i, version, want.version)
		}
	}
	requireValue(t, f, "k", "c", 3)
}

func TestWritesOverTheLimitsAreRefusedAlone(t *testing.T) {
	f := owner(t)
	long := strings.Repeat("k", KeyBytesMax)
	a := apply(t, f, 2, writes(
		put("", "v"), put(long+"k", "v"), put("big", strings.Repeat("v", ValueBytesMax+1)), remove(""), put(long, "fits"), put("empty", "")))
	for i, code := range []errpb.ErrorCode{
		errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, errpb.ErrorCode_ERROR_CODE_TOO_LARGE,
		errpb.ErrorCode_ERROR_CODE_TOO_LARGE, errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, 0, 0,
	} {
		if codeOf(a.Results[i].Err) != code {
			t.Errorf("write %d: %v, want %v", i, a.Results[i].Err, code)
		}
	}
	requireValue(t, f, long, "fits", 1)
	requireValue(t, f, "empty", "", 1)
}

func TestLogTimeNeverGoesBack(t *testing.T) {
	f := owner(t)
	for i, stamp := range []uint64{100, 50, 0, 101} {
		c := writes()
		c.StampMs = stamp
		apply(t, f, uint64(2+i), c)
		want := max(100, stamp)
		if got := newFSM(t, f.engine).state.head.logTimeMs; got != want || f.state.head.logTimeMs != want {
			t.Fatalf("after the stamp %d log time is %d, and %d when loaded; want %d", stamp, f.state.head.logTimeMs, got, want)
		}
	}
}

func TestAssignments(t *testing.T) {
	f := newFSM(t, memory.New())
	steps := []struct {
		name  string
		c     *pb.Command
		code  errpb.ErrorCode
		epoch uint64
	}{
		{"no epoch", everything(0), errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, 0},
		{"past the end", assign(1, span(0, command.Partitions)), errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, 0},
		{"backwards", assign(1, span(2, 1)), errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, 0},
		{"overlap", assign(1, span(0, 2), span(2, 3)), errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, 0},
		{"first", assign(3, span(0, 2), span(5, 5)), 0, 3},
		{"repeated", assign(3, span(5, 5), span(0, 2)), 0, 3},
		{"same epoch, other set", assign(3, span(0, 2)), errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, 3},
		{"older", everything(2), errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, 3},
		{"newer", assign(4, span(1, 3)), errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, 3},
		{"nothing", assign(5), errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, 3},
	}
	for i, step := range steps {
		a := apply(t, f, uint64(i+1), step.c)
		if codeOf(a.Err) != step.code || f.OwnershipEpoch() != step.epoch {
			t.Fatalf("%s: %v, epoch %d; want %v, epoch %d", step.name, a.Err, f.OwnershipEpoch(), step.code, step.epoch)
		}
		if step.code == errpb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED && a.Err.Epoch != step.epoch {
			t.Fatalf("%s: the refusal names epoch %d", step.name, a.Err.Epoch)
		}
		again := newFSM(t, f.engine)
		if *again.table.Load() != *f.table.Load() {
			t.Fatalf("%s: a restart sees another table", step.name)
		}
	}
}

func TestWritesToForeignPartitionsAreRefused(t *testing.T) {
	f := owner(t)
	mine := uint32(command.Partition([]byte("k")))
	apply(t, f, 2, writes(put("k", "kept")))
	release(t, f, 2, span(mine, mine))
	a := apply(t, f, 5, writes(put("k", "v"), remove("k")))
	for _, r := range a.Results {
		if e := requireCode(t, r.Err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD); e.Epoch != 2 {
			t.Fatalf("epoch %d", e.Epoch)
		}
	}
}

// stopsFor applies an entry that must stop the state machine, and returns what OnFatal was told.
func stopsFor(t *testing.T, e engine.Engine, log *raft.Log) error {
	t.Helper()
	return stopsKnowing(t, e, command.Format, log)
}

func stopsKnowing(t *testing.T, e engine.Engine, formatMax uint32, log *raft.Log) error {
	t.Helper()
	fatal := make(chan error, 2)
	f, err := New(e, Options{Shard: 1, FormatMax: formatMax, Log: quiet(), OnFatal: func(err error) { fatal <- err }})
	if err != nil {
		t.Fatal(err)
	}
	before, reached := content(t, e), f.Applied()
	answered := make(chan *Applied)
	go func() { answered <- f.Apply(log).(*Applied) }()
	cause := <-fatal
	select {
	case a := <-answered:
		t.Fatalf("Apply has answered %+v, which raft takes for applied", a)
	default:
	}
	if err := f.WaitApplied(t.Context(), reached+1); !errors.Is(err, ErrStopped) {
		t.Fatalf("a waiter got %v", err)
	}
	f.Passed(1000)
	f.Close()
	if a := <-answered; a.Err == nil || a.Err.Outcome != errpb.Outcome_OUTCOME_UNKNOWN {
		t.Fatalf("Apply answers %+v after Close", a)
	}
	good := apply(t, f, log.Index+1, writes(put("k", "v")))
	if good.Err == nil || f.Applied() != reached || string(content(t, e)) != string(before) {
		t.Fatalf("went on after a fatal error: %+v, applied %d", good, f.Applied())
	}
	if _, err := f.Snapshot(); !errors.Is(err, ErrStopped) {
		t.Fatalf("a snapshot after a fatal error: %v", err)
	}
	if err := f.Restore(nil); !errors.Is(err, ErrStopped) {
		t.Fatalf("a restore after a fatal error: %v", err)
	}
	return cause
}

func TestWhatItDoesNotUnderstandStopsIt(t *testing.T) {
	for name, data := range map[string][]byte{
		"newer format": {0x08, command.Format + 1},
		"garbage":      {0xff},
		"nothing":      nil,
	} {
		t.Run(name, func(t *testing.T) {
			cause := stopsFor(t, owner(t).engine, &raft.Log{Index: 9, Term: 1, Data: data})
			requireCode(t, cause, errpb.ErrorCode_ERROR_CODE_UNSUPPORTED)
		})
	}
}

func TestAFailingEngineStopsIt(t *testing.T) {
	failure := errors.New("no disk")
	log := entry(t, 9, writes(put("k", "v")))
	t.Run("apply", func(t *testing.T) {
		if cause := stopsFor(t, &broken{Engine: owner(t).engine, apply: failure}, log); !errors.Is(cause, failure) {
			t.Fatal(cause)
		}
	})
	t.Run("version", func(t *testing.T) {
		if cause := stopsFor(t, &broken{Engine: owner(t).engine, look: failure}, log); !errors.Is(cause, failure) {
			t.Fatal(cause)
		}
	})
	t.Run("get", func(t *testing.T) {
		log := entry(t, 9, writes(add("k", "v")))
		if cause := stopsFor(t, &broken{Engine: owner(t).engine, get: failure}, log); !errors.Is(cause, failure) {
			t.Fatal(cause)
		}
	})
}

// An engine under the log of another node, or under a log that was lost and made anew.
func TestALogThatIsNotTheEnginesStopsIt(t *testing.T) {
	f := owner(t)
	apply(t, f, 2, writes(put("k", "v")))
	other := entry(t, 2, writes(put("k", "other")))
	other.Term++
	cause := stopsFor(t, f.engine, other)
	requireCode(t, cause, errpb.ErrorCode_ERROR_CODE_CORRUPT)
}

func TestASkippedEntryHasNoKnownResults(t *testing.T) {
	f := owner(t)
	log := entry(t, 2, writes(put("k", "v")))
	f.Apply(log)
	a := f.Apply(log).(*Applied)
	if !a.Skipped || a.Results != nil || a.Err.Outcome != errpb.Outcome_OUTCOME_UNKNOWN {
		t.Fatalf("%+v", a)
	}
	requireValue(t, f, "k", "v", 1)
}

package fsm

import (
	"fmt"
	"testing"

	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

// told applies commands of the newest format one after the other, and gives what the observer was told of the last one.
func told(t *testing.T, list ...*pb.Command) string {
	t.Helper()
	f, o := observedFSM(t, memory.New())
	apply(t, f, 1, everything(1))
	f.Apply(entryIn(t, 2, raise(command.Format), command.Format))
	before := 0
	for i, c := range list {
		before = len(o.changes)
		f.Apply(entryIn(t, uint64(3+i), c, command.Format))
	}
	return fmt.Sprint(o.changes[before:])
}

func stampedAt(stampMs uint64, c *pb.Command) *pb.Command {
	c.StampMs = stampMs
	return c
}

// TestWhatATransactionTells: every write of the branch that ran, in its order, and nothing of one that came to nothing.
func TestWhatATransactionTells(t *testing.T) {
	first := writes(put("{u}a", "1"), put("{u}b", "no number"))
	branch := steps(put("{u}a", "2"), add("{u}a", "+"), remove("{u}b"), put("{u}b", "5"), increment("{u}b", 2))
	whole := writes(transact(nil, branch, nil), put("{u}c", "3"))
	if got, want := told(t, first, whole), "[1 {u}a=2@2 1 {u}a=2+@3 2 {u}b=@1 1 {u}b=5@2 1 {u}b=7@3 1 {u}c=3@2]"; got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
	fails := steps(put("{u}a", "2"), add("{u}a", "+"), remove("{u}a"), increment("{u}b", 2))
	failed := writes(put("{u}a", "x"), transact(nil, fails, nil), add("{u}a", "y"))
	if got, want := told(t, first, failed), "[1 {u}a=x@2 1 {u}a=xy@3]"; got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
}

// TestWhatTimesToLiveTell: an expiry is a delete; a touch changes neither value nor version, and is none.
func TestWhatTimesToLiveTell(t *testing.T) {
	put := stampedAt(1_000, writes(mortal("k", "v", 10)))
	if got := told(t, put, stampedAt(1_005, writes(touch("k", 20)))); got != "[]" {
		t.Errorf("a touch told %s", got)
	}
	if got := told(t, put, stampedAt(1_009, expire("k"))); got != "[]" {
		t.Errorf("a key that is not due told %s", got)
	}
	if got := told(t, put, stampedAt(1_010, expire("k"))); got != "[2 k=@1]" {
		t.Errorf("an expiry told %s", got)
	}
}

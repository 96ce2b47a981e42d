package raftlog

import "testing"

// Raft stores a vote as two values, the term first. A crash in between must not leave the older term's candidate as
// voted for in the new term.
func TestAVoteInANewTermForgetsTheOldCandidate(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	mustSet := func(term uint64, candidate string) {
		t.Helper()
		if err := l.SetUint64([]byte(lastVoteTerm), term); err != nil {
			t.Fatal(err)
		}
		if candidate == "" {
			return
		}
		if err := l.Set([]byte(lastVoteCand), []byte(candidate)); err != nil {
			t.Fatal(err)
		}
	}
	mustSet(3, "a")
	mustSet(3, "")
	if l.Vote(3) != "a" {
		t.Fatalf("the vote in term 3 is for %q", l.Vote(3))
	}
	mustSet(4, "")
	l.Close()
	l = h.open()
	if candidate, err := l.Get([]byte(lastVoteCand)); err != nil || len(candidate) != 0 {
		t.Fatalf("after the crash the vote in term 4 is for %q, %v", candidate, err)
	}
}

func TestABootstrapThatWasCutOffIsTakenBack(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	if err := l.SetUint64([]byte(currentTerm), 1); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = h.open()
	if term, err := l.GetUint64([]byte(currentTerm)); err != nil || term != 0 {
		t.Fatalf("term %d, %v", term, err)
	}
	if err := l.SetUint64([]byte(currentTerm), 1); err != nil {
		t.Fatal(err)
	}
	if err := l.StoreLogs(entries(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = h.open()
	if term, err := l.GetUint64([]byte(currentTerm)); err != nil || term != 1 {
		t.Fatalf("a whole bootstrap: term %d, %v", term, err)
	}
}

func TestATermThatWasVotedInStays(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	for _, key := range []string{currentTerm, lastVoteTerm} {
		if err := l.SetUint64([]byte(key), 2); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	if term, err := h.open().GetUint64([]byte(currentTerm)); err != nil || term != 2 {
		t.Fatalf("term %d, %v", term, err)
	}
}

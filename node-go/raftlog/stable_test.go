package raftlog

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"kvorum/node/vfs"
	"kvorum/node/vfs/vfstest"
)

// Raft stores a vote as two values, the term first. A crash in between must not leave the older term's candidate as
// voted for in the new term, nor may anybody see it so.
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
	if candidate, err := l.Get([]byte(lastVoteCand)); err != nil || len(candidate) != 0 || l.Vote(3) != "" {
		t.Fatalf("before there is a candidate the vote in term 4 is for %q, %v", candidate, err)
	}
	l.Close()
	l = h.open()
	if l.Vote(4) != "" || l.Vote(3) != "a" {
		t.Fatalf("after the crash the vote in term 4 is for %q, and that in term 3 for %q", l.Vote(4), l.Vote(3))
	}
	mustSet(4, "")
	if err := l.SetUint64([]byte(currentTerm), 5); err != nil { // whatever is written next brings it along
		t.Fatal(err)
	}
	l.Close()
	l = h.open()
	if l.Vote(4) != "" || l.Vote(3) != "" {
		t.Fatalf("the vote in term 4 is for %q, and that in term 3 for %q", l.Vote(4), l.Vote(3))
	}
	mustSet(5, "b")
	l.Close()
	if l = h.open(); l.Vote(5) != "b" {
		t.Fatalf("the vote in term 5 is for %q", l.Vote(5))
	}
}

// An election waits for them one after the other.
func TestATermAndAVoteAreOneFsyncEach(t *testing.T) {
	h := newHarness(t)
	disk := h.onDisk()
	l := h.open()
	var calls []string
	disk.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Changes() {
			calls = append(calls, op.Call+" "+filepath.Base(op.Path))
		}
		return vfstest.Fault{}
	})
	err := errors.Join(
		l.SetUint64([]byte(currentTerm), 2), l.SetUint64([]byte(lastVoteTerm), 2), l.Set([]byte(lastVoteCand), []byte("a")),
	)
	disk.SetHook(nil)
	if err != nil {
		t.Fatal(err)
	}
	once := []string{"write " + stableFile, "fsync " + stableFile}
	if want := slices.Concat(once, once); !slices.Equal(calls, want) {
		t.Fatalf("got %q, want %q", calls, want)
	}
}

// The page cache shows what a killed process has not made durable.
func TestATermThatOpenFindsIsDurable(t *testing.T) {
	h := newHarness(t)
	disk := h.onDisk()
	l := h.open()
	reached, gone := make(chan struct{}), make(chan struct{})
	disk.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call != "fsync" || filepath.Base(op.Path) != stableFile {
			return vfstest.Fault{}
		}
		close(reached)
		<-gone
		return vfstest.Fault{Err: syscall.EIO}
	})
	done := make(chan error, 1)
	go func() { done <- l.SetUint64([]byte(currentTerm), 7) }()
	<-reached
	disk.SetHook(nil)
	again := h.on(disk) // the next process
	found := again.open()
	close(gone)
	<-done
	term, err := found.GetUint64([]byte(currentTerm))
	if err != nil {
		t.Fatal(err)
	}
	found.Close()
	for name, loss := range vfstest.Losses(4) {
		later, err := again.after(disk, loss).open().GetUint64([]byte(currentTerm))
		if err != nil || later != term {
			t.Fatalf("lost %s: term %d was found, and then %d, %v", name, term, later, err)
		}
	}
}

func TestAStableFileOfTheFormerFormatIsTakenOver(t *testing.T) {
	h := newHarness(t)
	l := h.open()
	if err := l.SetUint64([]byte(currentTerm), 3); err != nil {
		t.Fatal(err)
	}
	l.Close()
	// It was like that of the segments.
	meta := &metaStore{fs: vfs.OS(), dir: h.dir, failed: func(error) {}}
	if err := meta.write(stableFile, map[string][]byte{currentTerm: binary.LittleEndian.AppendUint64(nil, 3)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l = h.open()
		if term, err := l.GetUint64([]byte(currentTerm)); err != nil || term != 3 {
			t.Fatalf("term %d, %v", term, err)
		}
		l.Close()
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

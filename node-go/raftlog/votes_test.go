package raftlog

import (
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"kvorum/node/vfs/vfstest"
)

// ballot is what one voter has said, over all its processes.
type ballot struct {
	// granted is whom it said that it votes for, by term; asked is who wanted its vote.
	granted map[uint64]string
	asked   map[uint64][]string
	// told is the highest term that it has answered with.
	told uint64
}

// vote is what hashicorp/raft does when a candidate asks, as far as its memory is concerned.
func (b *ballot) vote(l *Log, term uint64, candidate string) (granted bool, err error) {
	b.asked[term] = append(b.asked[term], candidate)
	current, err := l.GetUint64([]byte(currentTerm))
	if err != nil || term < current {
		return false, err
	}
	if term > current {
		if err := l.SetUint64([]byte(currentTerm), term); err != nil {
			return false, err
		}
	}
	b.told = term
	if votedIn, err := l.GetUint64([]byte(lastVoteTerm)); err != nil {
		return false, err
	} else if votedIn == term {
		if voted, err := l.Get([]byte(lastVoteCand)); err != nil || voted != nil {
			return string(voted) == candidate, err
		}
	}
	if err := l.SetUint64([]byte(lastVoteTerm), term); err != nil {
		return false, err
	}
	return true, l.Set([]byte(lastVoteCand), []byte(candidate))
}

// check holds what a process finds against what the earlier ones have said.
func (b *ballot) check(t *testing.T, l *Log) {
	t.Helper()
	term, err := l.GetUint64([]byte(currentTerm))
	if err != nil || term < b.told {
		t.Fatalf("term %d was found, %v; this node has answered with term %d", term, err, b.told)
	}
	found := string(l.Vote(term))
	if said := b.granted[term]; said != "" && found != said {
		t.Fatalf("in term %d the vote is for %q, and %q was told so", term, found, said)
	}
	if found != "" && !slices.Contains(b.asked[term], found) {
		t.Fatalf("in term %d the vote is for %q, who has never asked for it: %q have", term, found, b.asked[term])
	}
}

// Voters whose processes are killed, whose disks fail and whose power is cut at any step, over and over, while candidates
// ask twice and compete in each term: no vote is forgotten, none is given twice, and none to whom did not ask.
func TestAVoteIsGivenOnceWhateverEndsTheProcess(t *testing.T) {
	losses := vfstest.Losses(4)
	names := slices.Sorted(maps.Keys(losses))
	ends := map[bool]int{}
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		h := newHarness(t)
		disk := h.onDisk()
		b := &ballot{granted: map[uint64]string{}, asked: map[uint64][]string{}}
		term := uint64(2)
		for range 12 {
			// After so many steps of the disk everything fails, the first time perhaps in an fsync.
			left := random.IntN(20)
			disk.SetHook(func(op vfstest.Op) vfstest.Fault {
				if op.Changes() && filepath.Dir(op.Path) == h.dir {
					left--
				}
				if left < 0 {
					return vfstest.Fault{Err: syscall.EIO}
				}
				return vfstest.Fault{}
			})
			ends[b.process(t, h, &term, random)]++
			if random.IntN(2) == 0 {
				disk = disk.Crash(losses[names[random.IntN(len(names))]])
			}
			disk.SetHook(nil)
			h = h.on(disk)
		}
	}
	if ends[false] < 100 || ends[true] < 1000 {
		t.Fatalf("too one-sided: %d processes ended in the opening, %d later", ends[false], ends[true])
	}
}

// process opens the log, and is asked for votes until the disk fails or nobody asks any more. It says whether it opened.
func (b *ballot) process(t *testing.T, h *harness, term *uint64, random *rand.Rand) bool {
	t.Helper()
	l, err := Open(h.dir, h.options)
	var damage *CorruptError
	if errors.As(err, &damage) {
		t.Fatal(err)
	}
	if err != nil {
		return false
	}
	defer l.Close()
	b.check(t, l)
	for range 8 {
		*term += uint64(random.IntN(3)) / 2
		candidate := string(rune('a' + random.IntN(3)))
		granted, err := b.vote(l, *term, candidate)
		if err != nil {
			return true
		}
		if said := b.granted[*term]; granted && said != "" && said != candidate {
			t.Fatalf("in term %d %q was granted the vote, and before that %q", *term, candidate, said)
		}
		if granted {
			b.granted[*term] = candidate
		}
	}
	return true
}

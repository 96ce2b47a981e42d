package snapshot

import (
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock/clocktest"
)

// node is a raft and a log of entries of 10 bytes, as the compactor sees them.
type node struct {
	t     *testing.T
	store *Store
	clock *clocktest.Manual

	mu     sync.Mutex
	last   uint64
	fail   error
	keep   uint64
	taken  chan uint64 // what was to be kept in the log, at each snapshot
	failed chan error
}

const entryBytes = 10

func newNode(t *testing.T) (*node, *Compactor) {
	t.Helper()
	n := &node{
		t: t, store: openStore(t, newFS(t), at(t, 0)), clock: clocktest.New(),
		taken: make(chan uint64, 100), failed: make(chan error, 100),
	}
	c := NewCompactor(CompactorOptions{
		CompactBytes: 1600, TrailingBytes: 300, Store: n.store, Clock: n.clock, Log: quiet(),
		LogBytes: LogBytes{
			BytesSince: func(index uint64) int64 {
				n.mu.Lock()
				defer n.mu.Unlock()
				return int64(n.last-index) * entryBytes
			},
			TrailingEntries: func(bytes int64) uint64 { return uint64(bytes) / entryBytes },
		},
	})
	t.Cleanup(c.Close)
	return n, c
}

func (n *node) raft() Raft {
	return Raft{
		Snapshot: func() error {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.fail != nil {
				n.failed <- n.fail
				return n.fail
			}
			if err := take(n.store, n.last); err != nil {
				return err
			}
			n.taken <- n.keep
			return nil
		},
		KeepEntries: func(count uint64) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.keep = count
			return nil
		},
	}
}

// append puts entries into the log and tells the compactor of each.
func (n *node) append(c *Compactor, entries int) {
	for range entries {
		n.mu.Lock()
		n.last++
		n.mu.Unlock()
		c.Appended(entryBytes)
	}
}

func (n *node) setFailure(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail = err
}

func TestASnapshotPerCompactBytes(t *testing.T) {
	n, c := newNode(t)
	c.Start(n.raft())
	for round := range uint64(5) {
		n.append(c, 160)
		if keep := <-n.taken; keep != 30 {
			t.Fatalf("round %d: %d entries stay, want 300 bytes of 10", round, keep)
		}
	}
	n.append(c, 150)
	c.Close()
	if len(n.taken) > 0 {
		t.Fatal("a snapshot before it was due")
	}
}

func TestALogThatIsLongAtTheStart(t *testing.T) {
	n, c := newNode(t)
	n.last = 200
	c.Start(n.raft())
	<-n.taken
	if newest, _ := n.store.Newest(); newest.Index != 200 {
		t.Fatalf("newest %+v", newest)
	}
}

// What was appended before Start is not lost.
func TestAppendedBeforeStart(t *testing.T) {
	n, c := newNode(t)
	n.append(c, 160)
	c.Start(n.raft())
	<-n.taken
}

func TestAFailureIsTriedAgainLaterAndLater(t *testing.T) {
	n, c := newNode(t)
	n.setFailure(raft.ErrNothingNewToSnapshot)
	c.Start(n.raft())
	n.append(c, 160)
	for _, delay := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		<-n.failed
		n.clock.AwaitTimers(1)
		n.append(c, 20) // more log does not shorten the wait
		n.clock.Advance(delay*time.Second - 1)
		if len(n.failed) > 0 {
			t.Fatalf("tried again before %d s", delay)
		}
		n.clock.Advance(1)
	}
	<-n.failed
	n.clock.AwaitTimers(1)
	n.setFailure(nil)
	n.clock.Advance(time.Minute)
	<-n.taken
	n.setFailure(errors.New("disk full"))
	n.append(c, 160)
	<-n.failed
	n.clock.AwaitTimers(1)
	n.setFailure(nil)
	n.clock.Advance(time.Second) // the delay began anew
	<-n.taken
}

// A log that grows by entries that are not committed must not make it spin.
func TestASnapshotThatGetsNowhereIsAFailure(t *testing.T) {
	n, c := newNode(t)
	if err := take(n.store, 5); err != nil {
		t.Fatal(err)
	}
	n.last = 500
	snapshots := make(chan struct{}, 100)
	r := n.raft()
	r.Snapshot = func() error {
		defer func() { snapshots <- struct{}{} }()
		return take(n.store, 5)
	}
	c.Start(r)
	<-snapshots
	n.clock.AwaitTimers(1)
	if len(snapshots) > 0 {
		t.Fatal("tried again at once")
	}
	n.clock.Advance(time.Second)
	<-snapshots
}

func TestCloseEndsTheWaitForARetry(t *testing.T) {
	n, c := newNode(t)
	n.setFailure(errors.New("disk full"))
	c.Start(n.raft())
	n.append(c, 160)
	<-n.failed
	n.clock.AwaitTimers(1)
	c.Close()
}

// While a follower is being sent a snapshot, and until the next compaction after that, the log stays from there on.
func TestTheLogStaysForAFollowerThatIsSentASnapshot(t *testing.T) {
	n, c := newNode(t)
	c.Start(n.raft())
	round := func() uint64 {
		n.append(c, 160)
		return <-n.taken
	}
	round()
	newest, _ := n.store.Newest()
	_, one, err := n.store.Open(newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	if keep := round(); keep != math.MaxUint64 {
		t.Fatalf("%d entries stay while it is sent", keep)
	}
	if index, held := n.store.Held(); !held || index != newest.Index {
		t.Fatalf("held from %d", index)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if keep := round(); keep != math.MaxUint64 {
		t.Fatalf("%d entries stay right after it was sent", keep)
	}
	if keep := round(); keep != 30 {
		t.Fatalf("%d entries stay long after it was sent", keep)
	}
}

func TestTheLowestHoldCounts(t *testing.T) {
	s := &Store{}
	s.holds.begin(7)
	low := s.holds.begin(3)
	s.holds.begin(5)
	if index, held := s.Held(); !held || index != 3 {
		t.Fatalf("held from %d", index)
	}
	low.ended = true
	s.holds.compacted()
	if index, held := s.Held(); !held || index != 5 {
		t.Fatalf("held from %d", index)
	}
}

// But not for ever: a follower that takes too long must not fill the disk.
func TestAHeldLogIsCutAtItsLimit(t *testing.T) {
	n, c := newNode(t)
	c.Start(n.raft())
	n.append(c, 160)
	<-n.taken
	newest, _ := n.store.Newest()
	_, source, err := n.store.Open(newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	for rounds := 1; ; rounds++ {
		n.append(c, 160)
		if keep := <-n.taken; keep != math.MaxUint64 {
			if rounds != heldFactor+1 || keep != 30 {
				t.Fatalf("round %d: %d entries stay", rounds, keep)
			}
			return
		}
	}
}

package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kvorum/node/gen/command"
	"kvorum/node/vfs/vfstest"
)

/*
Power cuts of a whole replica: Raft log, term and vote, engine and snapshots on one file system, which knows what no fsync has
covered. The rooms have such tests of their own; here is what they promise each other. After a cut, whatever it took:

  - the node opens, and serves;
  - every write that was acknowledged is there, none is there that was never begun;
  - the engine holds nothing that log and snapshots cannot explain.
*/

// sequence is a workload of one writer: key i is written once, as the i-th.
type sequence struct {
	mu sync.Mutex
	// begun writes may be there, acknowledged ones must.
	begun, acknowledged int
}

func (s *sequence) now() (begun, acknowledged int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun, s.acknowledged
}

func keyOf(i int) string   { return fmt.Sprint("key-", i) }
func valueOf(i int) string { return strings.Repeat(fmt.Sprint(i, ";"), 40) }

// write acknowledges so many more. It returns false when the node did not take one.
func (s *sequence) write(n *testNode, count int) bool {
	for range count {
		s.mu.Lock()
		i := s.begun
		s.begun++
		s.mu.Unlock()
		if result := n.put(keyOf(i), valueOf(i)); result.Err != nil {
			return false
		}
		s.mu.Lock()
		s.acknowledged = i + 1
		s.mu.Unlock()
	}
	return true
}

// outage is a disk after a power cut, and what must be on it.
type outage struct {
	what                string
	disk                *vfstest.FS
	begun, acknowledged int
	// found is how many writes check has found.
	found int
}

// onDisk makes a group of one node on that disk, not open yet. Its files are small, so that a short workload fills several.
func onDisk(t *testing.T, disk *vfstest.FS) *testNode {
	t.Helper()
	// As kvnode does first of all.
	if err := errors.Join(disk.MkdirAll("/node"), disk.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	c := newCluster(t, 1, brisk, func(_ int, o *Options) {
		o.FS, o.Dir = disk, "/node"
		o.Sizes.SegmentBytes, o.Sizes.LogSegmentBytes = 4<<10, 4<<10
	})
	return c.nodes[0]
}

// begin opens the node and does what of the bootstrap is not done.
func (n *testNode) begin() error {
	if err := n.tryOpen(n.cluster.ctx); err != nil {
		return err
	}
	if len(n.Status().Members) == 0 {
		if err := n.Bootstrap(n.cluster.ctx, ids(n.cluster.nodes)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(n.cluster.ctx, testLimit)
	defer cancel()
	if !n.await(ctx, func(s Status) bool { return s.Ready }) {
		return fmt.Errorf("it does not serve: %+v", n.Status())
	}
	if n.Status().OwnershipEpoch > 0 {
		return nil
	}
	all := &command.AssignPartitions{Epoch: 1, Owned: []*command.PartitionRange{{First: 0, Last: 1023}}}
	if err := n.Assign(n.cluster.ctx, all, n.cluster.deadline()); err != nil {
		return err
	}
	return nil
}

// check opens what a power cut has left. The node stays open.
func (o *outage) check(n *testNode) error {
	if err := o.explained(n); err != nil {
		return err
	}
	if err := n.begin(); err != nil {
		return err
	}
	for i := range o.begun + 1 {
		value, err := n.get(keyOf(i))
		switch {
		case err == nil && value == valueOf(i) && i < o.begun:
			o.found = i + 1
		case errors.Is(err, errAbsent) && i >= o.acknowledged:
		default:
			return fmt.Errorf("write %d of %d acknowledged and %d begun: %q, %v", i, o.acknowledged, o.begun, value, err)
		}
	}
	return nil
}

// explained holds the engine against the log and the snapshots, before Raft has done anything.
func (o *outage) explained(n *testNode) error {
	s, err := n.options.openStores(n.cluster.ctx)
	if err != nil {
		return err
	}
	defer s.close()
	last, err := s.log.LastIndex()
	if err != nil {
		return err
	}
	o.what += fmt.Sprintf(" (log to %d, engine %d)", last, s.engine.Applied())
	if applied, known := s.engine.Applied(), max(last, s.snapshots.Covered()); applied > known {
		return fmt.Errorf("the engine has applied %d, log and snapshots reach %d", applied, known)
	}
	return nil
}

// At every step of a small workload, with every pattern of loss.
func TestPowerCutsAtEveryStep(t *testing.T) {
	const seeds = 1
	disk := vfstest.New()
	s := &sequence{}
	var mu sync.Mutex
	var outages []outage
	// The same disk is another case when more must be on it.
	type state struct {
		disk         [32]byte
		acknowledged int
	}
	seen := map[state]bool{}
	steps := 0
	keep := func(what string) {
		// What is acknowledged before the cut must be there, what is begun after it cannot.
		_, acknowledged := s.now()
		for name, loss := range vfstest.Losses(seeds) {
			left := disk.Crash(loss)
			begun, _ := s.now()
			mu.Lock()
			if now := (state{left.Fingerprint(), acknowledged}); !seen[now] {
				seen[now] = true
				outages = append(outages, outage{what: what + ", lost " + name, disk: left, begun: begun, acknowledged: acknowledged})
			}
			mu.Unlock()
		}
	}
	disk.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Changes() {
			mu.Lock()
			steps++
			what := fmt.Sprintf("step %d, before %s %s", steps, op.Call, filepath.Base(op.Path))
			mu.Unlock()
			keep(what)
		}
		return vfstest.Fault{}
	})
	n := onDisk(t, disk)
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	wrote := s.write(n, 12)
	n.compact(t)
	wrote = wrote && s.write(n, 8)
	n.crash()
	disk.SetHook(nil)
	keep("in the end")
	if !wrote || steps < 60 {
		t.Fatalf("%d steps", steps)
	}
	t.Logf("%d steps, %d different disks", steps, len(outages))
	for _, o := range outages {
		n := onDisk(t, o.disk)
		if err := o.check(n); err != nil {
			t.Fatalf("%s: %v", o.what, err)
		}
		n.crash()
	}
}

// One cut after the other, by chance, on the disk that the last one has left.
func TestPowerCutsAgainAndAgain(t *testing.T) {
	const (
		cuts     = 12
		stepsMax = 120
		writes   = 200
	)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	s := &sequence{}
	disk := vfstest.New()
	n := onDisk(t, disk)
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	for cut := range cuts {
		left := cutAfter(disk, s, 1+random.IntN(stepsMax), random.Uint64())
		if random.IntN(3) == 0 {
			if err := n.raft.Snapshot().Error(); err != nil {
				t.Logf("no snapshot: %v", err)
			}
		}
		s.write(n, writes)
		n.crash()
		disk.SetHook(nil)
		o := <-left
		n = onDisk(t, o.disk)
		if err := o.check(n); err != nil {
			t.Fatalf("seed %d, cut %d, %s: %v", seed, cut, o.what, err)
		}
		// What was written after the cut never happened. What was in doubt is known now.
		s.begun, s.acknowledged = o.found, o.found
		disk = o.disk
	}
	n.crash()
}

// cutAfter gives the disk as it is after a power cut some steps from now.
func cutAfter(disk *vfstest.FS, s *sequence, steps int, seed uint64) <-chan outage {
	left := make(chan outage, 1)
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, seed))
	disk.SetHook(func(op vfstest.Op) vfstest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if !op.Changes() {
			return vfstest.Fault{}
		}
		if steps--; steps == 0 {
			_, acknowledged := s.now()
			after := disk.Crash(func(p vfstest.Pending) int { return random.IntN(p.Bytes + 1) })
			begun, _ := s.now()
			left <- outage{what: "before " + op.Call + " " + op.Path, disk: after, begun: begun, acknowledged: acknowledged}
		}
		return vfstest.Fault{}
	})
	return left
}

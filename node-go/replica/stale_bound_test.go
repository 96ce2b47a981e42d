package replica

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kvorum/node/clock"
	"kvorum/node/kverr"
)

// leaping is a real clock that a test can make leap: what a process sees that was stopped meanwhile.
type leaping struct {
	clock.Clock
	by atomic.Int64
}

func (c *leaping) Now() time.Time                  { return c.Clock.Now().Add(time.Duration(c.by.Load())) }
func (c *leaping) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
func (c *leaping) leap(d time.Duration)            { c.by.Add(int64(d)) }

type askingCluster struct {
	*cluster
	// lost: questions do not get through.
	lost atomic.Bool
}

var errLost = errors.New("the question or its answer did not get through")

// asking is a cluster whose nodes ask each other for read indices, by the network of the test, and whose clocks leap.
func asking(t *testing.T, timing Timing, change func(int, *Options)) (*askingCluster, []*leaping) {
	t.Helper()
	c := &askingCluster{}
	var clocks []*leaping
	c.cluster = newCluster(t, 3, timing, func(i int, o *Options) {
		leaps := &leaping{Clock: clock.Real()}
		clocks = append(clocks, leaps)
		o.Clock = leaps
		self := o.Identity.NodeID
		o.AskIndex = func(ctx context.Context, leader Peer) (uint64, error) { return c.askIndex(ctx, self, leader.ID) }
		if change != nil {
			change(i, o)
		}
	})
	c.start()
	return c, clocks
}

func (c *askingCluster) askIndex(ctx context.Context, from, to string) (uint64, error) {
	if c.lost.Load() || !c.network.pass(ctx, direction{from, to}) {
		return 0, errLost
	}
	for _, n := range c.nodes {
		if n.id != to {
			continue
		}
		index, err := n.ReadIndex(ctx, n.options.Clock.Now().Add(testLimit))
		if err != nil {
			return 0, err
		}
		if !c.network.pass(ctx, direction{to, from}) {
			return 0, errLost
		}
		return index, nil
	}
	return 0, errLost
}

// pass is await that ends with ctx.
func (n *network) pass(ctx context.Context, d direction) bool {
	passed := make(chan bool, 1)
	n.running.Go(func() { passed <- n.await(d) })
	select {
	case ok := <-passed:
		return ok
	case <-ctx.Done():
		return false
	}
}

// stale is a read with a bound that begins now.
func (n *testNode) stale(key string, bound time.Duration) (string, *kverr.Error) {
	now := n.options.Clock.Now()
	if err := n.Fresh(n.cluster.ctx, now, bound, now.Add(testLimit)); err != nil {
		return "", err
	}
	record, _, err := n.Get([]byte(key))
	if err != nil {
		return "", kverr.Of(err)
	}
	return string(record.Value), nil
}

func (n *testNode) mustReadStale(key, want string, bound time.Duration) {
	n.cluster.t.Helper()
	if got, err := n.stale(key, bound); err != nil || got != want {
		n.cluster.t.Fatalf("%s with a bound of %s: got %q %v, want %q", n.id, bound, got, err, want)
	}
}

// eventually: a follower may hear of a commit later than a read has patience for.
func (n *testNode) eventuallyReadStale(key, want string, bound time.Duration) {
	n.cluster.t.Helper()
	var last *kverr.Error
	for n.cluster.ctx.Err() == nil {
		got, err := n.stale(key, bound)
		if err == nil {
			if got != want {
				n.cluster.t.Fatalf("%s with a bound of %s: got %q, want %q", n.id, bound, got, want)
			}
			return
		}
		last = err
	}
	n.cluster.t.Fatalf("%s has no proof: %v; status %+v", n.id, last, n.Status())
}

func TestAFollowerAnswersWithinTheBound(t *testing.T) {
	c, _ := asking(t, patient, nil)
	leader := c.leader()
	for i, value := range []string{"one", "two", "three"} {
		leader.mustPut("k", value)
		for _, follower := range c.others(leader) {
			// The write was acknowledged before the read: a bound shorter than the time since must show it.
			follower.eventuallyReadStale("k", value, time.Nanosecond*time.Duration(i))
			follower.mustReadStale("k", value, time.Minute)
		}
		leader.mustReadStale("k", value, 0)
	}
}

func TestAFollowerThatIsCutOffAnswersWithinTheBoundOnly(t *testing.T) {
	c, clocks := asking(t, patient, nil)
	leader := c.leader()
	leader.mustPut("k", "old")
	follower := c.others(leader)[0]
	follower.eventuallyReadStale("k", "old", 0)
	c.network.cut(follower.id, ids(c.others(follower))...)
	leader.mustPut("k", "new")
	follower.mustReadStale("k", "old", testLimit)
	clocks[slices.Index(c.nodes, follower)].leap(2 * testLimit)
	if got, err := follower.stale("k", testLimit); err == nil {
		t.Fatalf("it answered %q after its bound", got)
	}
}

// What a follower hears from its leader, entries included, may have been under way for any time. Only what it asked for is
// known to be newer than the question.
func TestWhatAFollowerHearsProvesNothing(t *testing.T) {
	c, clocks := asking(t, patient, nil)
	leader := c.leader()
	follower := c.others(leader)[0]
	leader.mustPut("k", "one")
	follower.eventuallyReadStale("k", "one", 0)
	c.lost.Store(true)
	clocks[slices.Index(c.nodes, follower)].leap(testLimit)
	leader.mustPut("k", "two")
	follower.catchUp(leader)
	if got, err := follower.stale("k", testLimit-1); err == nil {
		t.Fatalf("it answered %q without a proof", got)
	}
	follower.mustReadStale("k", "two", 2*testLimit)
	c.lost.Store(false)
	follower.eventuallyReadStale("k", "two", 0)
}

func TestALeaderThatIsCutOffAnswersWithinTheBoundOnly(t *testing.T) {
	c, clocks := asking(t, brisk, stubborn)
	old := c.nodes[0]
	if leader := c.leader(); leader != old {
		if err := leader.TransferLeadership(c.ctx, old.id); err != nil {
			t.Fatal(err)
		}
		old.mustAwait("does not lead", func(s Status) bool { return s.Ready })
	}
	old.mustPut("k", "old")
	old.mustGet("k", "old")
	c.network.cut(old.id, ids(c.others(old))...)
	next := c.leader(old)
	next.mustPut("k", "new")
	old.mustReadStale("k", "old", 3*testLimit)
	clocks[0].leap(4 * testLimit)
	if got, err := old.stale("k", 3*testLimit); err == nil {
		t.Fatalf("it answered %q after its bound", got)
	}
	c.network.mend(old.id, ids(c.others(old))...)
	// Deposed, it asks its successor.
	old.eventuallyReadStale("k", "new", 0)
}

func TestANodeThatStartsAgainHasNoProof(t *testing.T) {
	c, _ := asking(t, patient, nil)
	leader := c.leader()
	leader.mustPut("k", "v")
	follower := c.others(leader)[0]
	follower.eventuallyReadStale("k", "v", 0)
	follower.crash()
	c.network.cut(follower.id, ids(c.others(follower))...)
	follower.open()
	if got, err := follower.stale("k", time.Hour); err == nil {
		t.Fatalf("it answered %q", got)
	}
	c.network.mend(follower.id, ids(c.others(follower))...)
	follower.eventuallyReadStale("k", "v", time.Second)
}

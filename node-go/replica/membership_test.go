package replica

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// steady has heartbeats often enough for rounds, and no elections by mistake on a busy machine.
var steady = Timing{Heartbeat: 2 * time.Second, Lease: 2 * time.Second, Commit: 10 * time.Millisecond}

// startSome opens `size` nodes of which the first `members` are the shard. The others wait to be added.
func startSome(t *testing.T, size, members int, timing Timing, change func(int, *Options)) *cluster {
	t.Helper()
	c := newCluster(t, size, timing, change)
	c.startFirst(members)
	return c
}

func (c *cluster) startFirst(members int) {
	t := c.t
	t.Helper()
	for _, n := range c.nodes {
		n.open()
	}
	for _, n := range c.nodes[:members] {
		if err := n.Bootstrap(c.ctx, ids(c.nodes[:members])); err != nil {
			t.Fatal(err)
		}
	}
	assign := &command.AssignPartitions{Epoch: 1, Owned: []*command.PartitionRange{{First: 0, Last: 1023}}}
	if err := c.leader().Assign(c.ctx, assign, c.deadline()); err != nil {
		t.Fatal(err)
	}
}

func (n *testNode) add(member *testNode, ifConfiguration uint64) (uint64, *kverr.Error) {
	return n.AddNonVoter(n.cluster.ctx, member.id, member.address, ifConfiguration, n.cluster.deadline())
}

func (n *testNode) promote(member *testNode, ifConfiguration uint64) (uint64, *kverr.Error) {
	return n.Promote(n.cluster.ctx, member.id, ifConfiguration, n.cluster.deadline())
}

func (n *testNode) remove(member *testNode, ifConfiguration uint64) (uint64, *kverr.Error) {
	return n.RemoveMember(n.cluster.ctx, member.id, ifConfiguration, n.cluster.deadline())
}

// mustChange takes the answer of a change that has to succeed.
func mustChange(t *testing.T) func(uint64, *kverr.Error) uint64 {
	return func(index uint64, err *kverr.Error) uint64 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return index
	}
}

func expectRefused(t *testing.T, err *kverr.Error, code pb.ErrorCode) {
	t.Helper()
	if err == nil || err.Code != code || err.Outcome != notApplied {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// mustHaveVoters waits until a node knows these members, voters all, and that it is committed.
func (n *testNode) mustHaveVoters(voters ...*testNode) {
	n.cluster.t.Helper()
	want := ids(voters)
	slices.Sort(want)
	n.mustAwait("other members", func(s Status) bool {
		var have []string
		for _, member := range s.Members {
			if member.Voter {
				have = append(have, member.ID)
			}
		}
		slices.Sort(have)
		return s.ConfigurationCommitted && len(have) == len(s.Members) && slices.Equal(have, want)
	})
}

func TestAShardGrowsAndShrinks(t *testing.T) {
	c := startSome(t, 5, 1, steady, nil)
	must := mustChange(t)
	leader := c.nodes[0]
	leader.mustPut("k", "1")
	for i, n := range c.nodes[1:] {
		added := must(leader.add(n, leader.Status().Configuration))
		promoted := must(leader.promote(n, added))
		if promoted <= added || leader.Status().Configuration != promoted {
			t.Fatalf("added in %d, promoted in %d, now %d", added, promoted, leader.Status().Configuration)
		}
		leader.mustPut("k", "more")
		n.mustHaveVoters(c.nodes[:i+2]...)
	}
	// The leader leaves first: each of the others has to be able to lead without it.
	for left := c.nodes; len(left) > 1; left = left[1:] {
		leaving := c.leader()
		_, err := leaving.remove(leaving, 0)
		expectRefused(t, err, pb.ErrorCode_ERROR_CODE_NOT_LEADER)
		next := c.leader(leaving)
		if err.Leader == nil || err.Leader.NodeId != next.id {
			t.Fatalf("it hints at %v, %s leads", err.Leader, next.id)
		}
		leaving.catchUp(next)
		must(next.remove(leaving, 0))
		next.mustPut("k", "less")
		next.mustGet("k", "less")
		left = append([]*testNode{nil}, slices.DeleteFunc(slices.Clone(left), func(n *testNode) bool { return n == leaving })...)
		next.mustHaveVoters(left[1:]...)
		leaving.mustAwait("still a member", func(s Status) bool { return !slices.Contains(memberIDs(s), leaving.id) })
	}
}

func memberIDs(s Status) []string {
	var all []string
	for _, member := range s.Members {
		all = append(all, member.ID)
	}
	return all
}

func TestAChangeIsMadeOnceAndForTheConfigurationThatItNames(t *testing.T) {
	c := startSome(t, 3, 2, steady, nil)
	must := mustChange(t)
	leader, third := c.leader(), c.nodes[2]
	first := leader.Status().Configuration
	added := must(leader.add(third, first))
	for what, again := range map[string]func() (uint64, *kverr.Error){
		"add":     func() (uint64, *kverr.Error) { return leader.add(third, first) },
		"promote": func() (uint64, *kverr.Error) { return leader.promote(third, first) },
		"remove":  func() (uint64, *kverr.Error) { return leader.remove(third, first) },
	} {
		_, err := again()
		if expectRefused(t, err, pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED); leader.Status().Configuration != added {
			t.Fatalf("%s: an order that was overtaken changed the members", what)
		}
	}
	if again := must(leader.add(third, added)); again != added {
		t.Fatalf("added again in %d, before in %d", again, added)
	}
	promoted := must(leader.promote(third, 0))
	if again := must(leader.promote(third, 0)); again != promoted || must(leader.add(third, 0)) != promoted {
		t.Fatal("a voter was changed by what it had already")
	}
	removed := must(leader.remove(third, promoted))
	if again := must(leader.remove(third, removed)); again != removed {
		t.Fatalf("removed again in %d, before in %d", again, removed)
	}
	_, err := leader.promote(third, 0)
	expectRefused(t, err, pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
	for _, call := range []func() (uint64, *kverr.Error){
		func() (uint64, *kverr.Error) { return c.others(leader)[0].add(third, 0) },
		func() (uint64, *kverr.Error) { return third.remove(third, 0) },
	} {
		_, err := call()
		expectRefused(t, err, pb.ErrorCode_ERROR_CODE_NOT_LEADER)
	}
}

func TestAMemberThatIsBehindGetsNoVote(t *testing.T) {
	disks := []*heldDisk{newHeldDisk(), newHeldDisk(), newHeldDisk(), newHeldDisk()}
	short := steady
	short.Heartbeat, short.Lease = time.Second, time.Second
	c := startSome(t, 4, 3, short, func(i int, o *Options) { o.FS = disks[i] })
	// Before the cluster is closed, which waits for the disks.
	defer disks[3].release()
	must := mustChange(t)
	leader, late := c.leader(), c.nodes[3]
	must(leader.add(late, 0))
	leader.mustPut("k", "1")
	late.catchUp(leader)
	// It answers heartbeats, and stores nothing.
	disks[3].hold()
	for range 5 {
		leader.mustPut("k", "2")
	}
	_, err := leader.promote(late, 0)
	expectRefused(t, err, pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
	behind := leader.Status().Members[3]
	if behind.ID != late.id || behind.Voter || behind.Behind < 5 {
		t.Fatalf("its status is %+v", behind)
	}
	disks[3].release()
	late.catchUp(leader)
	must(leader.promote(late, 0))
	// One that has everything, and is gone.
	must(leader.remove(late, 0))
	must(leader.add(late, 0))
	late.catchUp(leader)
	late.crash()
	_, err = leader.promote(late, 0)
	expectRefused(t, err, pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
}

func TestTheVotersThatAreLeftMustAnswer(t *testing.T) {
	c := startSome(t, 3, 3, steady, nil)
	must := mustChange(t)
	leader := c.leader()
	alive, dead := c.others(leader)[0], c.others(leader)[1]
	dead.crash()
	for _, n := range []*testNode{alive, leader} {
		_, err := leader.remove(n, 0)
		expectRefused(t, err, pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
	}
	leader.mustPut("k", "v")
	must(leader.remove(dead, 0))
	must(leader.remove(alive, 0))
	leader.mustPut("k", "w")
	_, err := leader.remove(leader, 0)
	expectRefused(t, err, pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
	leader.mustGet("k", "w")
	// Alone, it needs nobody's word to lead again.
	leader.crash()
	leader.open()
	c.leader().mustGet("k", "w")
}

// What a leader that is cut off has in its log is no change that was made.
func TestADeposedLeaderDoesNotCallItDone(t *testing.T) {
	c := startSome(t, 4, 3, brisk, stubborn)
	if leader := c.leader(); leader != c.nodes[0] {
		if err := leader.TransferLeadership(c.ctx, c.nodes[0].id); err != nil {
			t.Fatal(err)
		}
	}
	old, fourth := c.leader(), c.nodes[3]
	before := old.Status().Configuration
	c.network.cut(old.id, ids(c.others(old))...)
	pending := old.raft.AddNonvoter(raft.ServerID(fourth.id), raft.ServerAddress(fourth.id), 0, 0)
	old.mustAwait("no change in its log", func(s Status) bool {
		return s.Configuration > before && len(s.Members) == 4 && !s.ConfigurationCommitted
	})
	next := c.leader(old)
	ctx, cancel := context.WithTimeout(c.ctx, brisk.Heartbeat)
	defer cancel()
	if index, err := old.AddNonVoter(ctx, fourth.id, fourth.address, 0, c.deadline()); err == nil {
		t.Fatalf("added in %d", index)
	}
	next.mustPut("k", "v")
	c.network.mend(old.id, ids(c.others(old))...)
	if pending.Error() == nil {
		t.Fatal("the change was made")
	}
	old.mustAwait("the change is still there", func(s Status) bool {
		return s.Configuration == before && len(s.Members) == 3 && s.ConfigurationCommitted
	})
}

// A leader that was replaced and does not know it might call done what its successor has undone.
func TestADeposedLeaderDoesNotKnowTheMembers(t *testing.T) {
	c := startSome(t, 4, 3, brisk, stubborn)
	c.hand(c.nodes[0])
	old, fourth := c.nodes[0], c.nodes[3]
	c.network.cut(old.id, ids(c.others(old))...)
	mustChange(t)(c.leader(old).add(fourth, 0))
	ctx, cancel := context.WithTimeout(c.ctx, brisk.Heartbeat)
	defer cancel()
	if index, err := old.RemoveMember(ctx, fourth.id, 0, c.deadline()); err == nil {
		t.Fatalf("not a member in %d", index)
	}
}

func TestTheConfigurationOutlivesRestartsAndCompaction(t *testing.T) {
	c := startSome(t, 3, 1, steady, nil)
	must := mustChange(t)
	leader := c.nodes[0]
	must(leader.add(c.nodes[1], 0))
	promoted := must(leader.promote(c.nodes[1], 0))
	leader.mustPut("k", "v")
	for _, compact := range []bool{false, true} {
		c.nodes[0].catchUp(leader)
		c.nodes[1].catchUp(leader)
		for _, n := range c.nodes[:2] {
			if compact {
				n.compact(t)
			}
			n.crash()
		}
		for _, n := range c.nodes[:2] {
			n.open()
			if s := n.Status(); s.Configuration != promoted || len(s.Members) != 2 {
				t.Fatalf("compacted %t: %+v", compact, s)
			}
		}
		leader = c.leader()
	}
	// The log does not begin with the first entry any more: the third is sent a snapshot.
	must(leader.add(c.nodes[2], promoted))
	must(leader.promote(c.nodes[2], 0))
	leader.mustPut("k", "w")
	c.nodes[2].mustHaveVoters(c.nodes...)
}

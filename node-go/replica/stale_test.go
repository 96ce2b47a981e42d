package replica

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// stubborn makes the first node believe in its leadership for a minute, however long it hears nothing, as a process does
// that was paused and has just woken up. The others elect another leader soon.
func stubborn(i int, o *Options) {
	if i == 0 {
		o.Timing = patient
	}
}

// isolated is a cluster whose first node leads.
func isolated(t *testing.T) (*cluster, *testNode) {
	t.Helper()
	c := startCluster(t, 3, brisk, stubborn)
	first := c.nodes[0]
	if leader := c.leader(); leader != first {
		if err := leader.TransferLeadership(c.ctx, first.id); err != nil {
			t.Fatal(err)
		}
		first.mustAwait("does not lead", func(s Status) bool { return s.Ready })
	}
	first.mustPut("k", "old")
	return c, first
}

func TestALeaderThatIsCutOffAnswersNoReads(t *testing.T) {
	c, old := isolated(t)
	c.network.cut(old.id, ids(c.others(old))...)
	c.leader(old).mustPut("k", "new")
	if old.raft.State() != raft.Leader {
		t.Fatal("the old leader has noticed: the test tests nothing")
	}
	answer := background(func() *kverr.Error { return old.Confirm(c.ctx, time.Now().Add(300*time.Millisecond)) })
	if err := receive(t, answer); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED {
		t.Fatalf("the old leader answered %v", err)
	}
	// And once it hears from the others, it knows better than to answer.
	late := background(func() *kverr.Error { return old.Confirm(c.ctx, c.deadline()) })
	c.network.mend(old.id, ids(c.others(old))...)
	if err := receive(t, late); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_NOT_LEADER {
		t.Fatalf("the old leader answered %v", err)
	}
}

// The trap of VerifyLeader: acknowledgements of heartbeats that were sent before the read, and before the next leader was
// elected, arrive after the read has begun.
func TestOldAcknowledgementsConfirmNothing(t *testing.T) {
	c, old := isolated(t)
	for _, other := range c.others(old) {
		c.network.hold(other.id, old.id)
	}
	c.leader(old).mustPut("k", "new")
	if old.raft.State() != raft.Leader {
		t.Fatal("the old leader has noticed: the test tests nothing")
	}
	answer := background(func() *kverr.Error { return old.Confirm(c.ctx, c.deadline()) })
	// The read's own heartbeats do not get through; only what was under way does.
	for _, other := range c.others(old) {
		c.network.hold(old.id, other.id)
		c.network.release(other.id, old.id)
	}
	select {
	case err := <-answer:
		if err == nil {
			t.Fatal("the old leader confirmed a stale read")
		}
	case <-time.After(300 * time.Millisecond):
	}
	c.network.mend(old.id, ids(c.others(old))...)
	if err := receive(t, answer); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_NOT_LEADER {
		t.Fatalf("the old leader answered %v", err)
	}
}

package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
)

func TestThreeReplicas(t *testing.T) {
	c := startCluster(t, 3, patient, nil)
	leader := c.leader()
	leader.mustPut("k", "v")
	leader.mustGet("k", "v")
	for _, follower := range c.others(leader) {
		result := follower.put("k", "w")
		expectError(t, result, pb.ErrorCode_ERROR_CODE_NOT_LEADER, notApplied)
		if hint := result.Err.Leader; hint == nil || hint.NodeId != leader.id || hint.Address != leader.address ||
			hint.Term != leader.Status().Term {
			t.Fatalf("%s hints at %v", follower.id, hint)
		}
		if _, err := follower.get("k"); err == nil {
			t.Fatalf("%s answered a linearizable read", follower.id)
		}
		// Also what a term begins with, which Raft does not show to state machines.
		follower.catchUp(leader)
		if status := follower.Status(); status.Role != raft.Follower || !status.Voter || status.Ready ||
			status.Leader != leader.id || len(status.Members) != 3 || status.OwnershipEpoch != 1 {
			t.Fatalf("status %+v", status)
		}
	}
}

func TestBootstrapIsIdempotentAndRefusesOthers(t *testing.T) {
	c := startCluster(t, 3, patient, nil)
	n := c.nodes[1]
	if err := n.Bootstrap(c.ctx, []string{"node-2", "node-0", "node-1"}); err != nil {
		t.Fatal(err)
	}
	if err := n.Bootstrap(c.ctx, []string{"node-1"}); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED {
		t.Fatalf("got %v", err)
	}
	if err := n.Bootstrap(c.ctx, []string{"node-0", "node-2"}); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
		t.Fatalf("got %v", err)
	}
}

// The first node leads before the others are bootstrapped: they have voted, and then get their members from the leader.
func TestBootstrapOneByOne(t *testing.T) {
	c := newCluster(t, 3, patient, nil)
	for _, n := range c.nodes {
		n.open()
	}
	all := ids(c.nodes)
	for _, n := range c.nodes {
		if err := n.Bootstrap(c.ctx, all); err != nil {
			t.Fatal(err)
		}
		c.leader()
	}
}

func TestAReadOnTheNextLeaderSeesWhatTheLastOneAcknowledged(t *testing.T) {
	c := startCluster(t, 3, patient, nil)
	leader := c.leader()
	for i := range 5 {
		value := fmt.Sprint(i)
		leader.mustPut("k", value)
		next := c.others(leader)[i%2]
		if err := leader.TransferLeadership(c.ctx, next.id); err != nil {
			t.Fatal(err)
		}
		// At once: the read itself waits until the new leader is ready.
		next.mustAwait("does not lead", func(s Status) bool { return s.Role == raft.Leader })
		next.mustGet("k", value)
		leader = next
	}
}

func TestAnOrderlyEndHandsLeadershipOver(t *testing.T) {
	c := startCluster(t, 3, patient, nil)
	leader := c.leader()
	leader.mustPut("k", "v")
	leader.Quiesce(c.ctx)
	// No time-out can have elected it: those are a minute.
	next := c.leader(leader)
	result := leader.put("k", "w")
	if result.Err == nil || result.Err.Outcome != notApplied || result.Err.Leader == nil || result.Err.Leader.NodeId != next.id {
		t.Fatalf("a stopping node answered %+v", result)
	}
	leader.crash()
	next.mustGet("k", "v")
}

func TestALeaderThatDiesIsReplacedAtOnce(t *testing.T) {
	// Only a vote that is split, which a busy machine can cause, waits for this time-out.
	timing := Timing{Heartbeat: 5 * time.Second, Lease: 5 * time.Second, Commit: 10 * time.Millisecond}
	c := newCluster(t, 3, timing, nil)
	for _, n := range c.nodes {
		n.direct = true
	}
	c.start()
	leader := c.leader()
	leader.mustPut("k", "v")
	leader.crash()
	c.leader().mustGet("k", "v")
}

func TestAHintToCampaignLeavesAWellLeaderAlone(t *testing.T) {
	c := startCluster(t, 3, patient, nil)
	leader := c.leader()
	term := leader.Status().Term
	for _, n := range c.nodes {
		if err := n.Campaign(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	leader.mustPut("k", "v")
	leader.mustGet("k", "v")
	if now := leader.Status().Term; now != term {
		t.Fatalf("the term went from %d to %d", term, now)
	}
}

func TestASeedHoldsWhatIsAskedForOrIsRefused(t *testing.T) {
	c := startCluster(t, 1, brisk, nil)
	node := c.leader()
	node.mustPut("k", "v")
	applied := node.Status().AppliedIndex
	view, err := node.Seed(applied)
	if err != nil {
		t.Fatal(err)
	}
	if view.Applied() < applied {
		t.Errorf("the view is at %d, want %d", view.Applied(), applied)
	}
	view.Close()
	if _, err := node.Seed(applied + 1000); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_UNAVAILABLE || err.Outcome != notApplied {
		t.Fatalf("got %v", err)
	}
}

func TestTransferLeadershipToWhomItCannotGo(t *testing.T) {
	c := startCluster(t, 3, patient, nil)
	leader := c.leader()
	for _, to := range []string{leader.id, "nobody"} {
		if err := leader.TransferLeadership(c.ctx, to); err == nil || err.Code != pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
			t.Fatalf("to %s: got %v", to, err)
		}
	}
	if err := c.others(leader)[0].TransferLeadership(c.ctx, ""); err != nil {
		t.Fatalf("a follower has nothing to hand over, and got %v", err)
	}
}

func TestAFollowerThatWasAwayCatchesUp(t *testing.T) {
	c := startCluster(t, 3, patient, nil)
	leader := c.leader()
	away := c.others(leader)[0]
	c.network.cut(away.id, ids(c.others(away))...)
	for i := range 50 {
		leader.mustPut(fmt.Sprint("k", i), "v")
	}
	leader.mustGet("k49", "v")
	c.network.mend(away.id, ids(c.others(away))...)
	leader.mustPut("last", "v")
	away.catchUp(leader)
}

func TestARestartOfAllKeepsEverything(t *testing.T) {
	c := startCluster(t, 3, brisk, nil)
	for i := range 20 {
		c.leader().mustPut(fmt.Sprint("k", i), fmt.Sprint("v", i))
	}
	for range 2 {
		c.closeAll()
		for _, n := range c.nodes {
			n.open()
		}
		leader := c.leader()
		for i := range 20 {
			leader.mustGet(fmt.Sprint("k", i), fmt.Sprint("v", i))
		}
	}
}

func TestASingleReplica(t *testing.T) {
	c := startCluster(t, 1, brisk, nil)
	c.leader().mustPut("k", "v")
	c.leader().mustGet("k", "v")
	c.nodes[0].Quiesce(c.ctx)
	c.closeAll()
	c.nodes[0].open()
	c.leader().mustGet("k", "v")
}

// Every write is answered once, and its answer is true: what was acknowledged is there, what was NOT_APPLIED is not.
func TestWritesWhileLeadershipMoves(t *testing.T) {
	c := startCluster(t, 3, brisk, nil)
	h := &history{outcomes: map[string]pb.Outcome{}, acknowledged: make(chan struct{})}
	ctx, stop := context.WithCancel(c.ctx)
	var writers sync.WaitGroup
	for w := range 12 {
		writers.Go(func() { h.write(ctx, c.nodes[w%3], w) })
	}
	for i := range 6 {
		for range 100 {
			receive(t, h.acknowledged)
		}
		leader := c.leader()
		if i%2 == 0 {
			// It may have lost leadership meanwhile: all the better.
			_ = leader.TransferLeadership(c.ctx, "")
			continue
		}
		c.network.cut(leader.id, ids(c.others(leader))...)
		c.leader(leader)
		c.network.mend(leader.id, ids(c.others(leader))...)
		leader.mustAwait("does not follow", func(s Status) bool { return s.Leader != "" && s.Leader != leader.id })
	}
	stop()
	writers.Wait()
	counts := map[pb.Outcome]int{}
	for key, outcome := range h.outcomes {
		counts[outcome]++
		there := c.has(key)
		if outcome == pb.Outcome_OUTCOME_APPLIED && !there {
			t.Errorf("%s was acknowledged, and is gone", key)
		}
		if outcome == notApplied && there {
			t.Errorf("%s was NOT_APPLIED, and is there", key)
		}
	}
	if counts[pb.Outcome_OUTCOME_APPLIED] == 0 || counts[notApplied] == 0 {
		t.Fatalf("the test tested nothing: %v", counts)
	}
	t.Log(counts)
}

// history is what writers were answered, by key.
type history struct {
	mu       sync.Mutex
	outcomes map[string]pb.Outcome
	// acknowledged passes the acknowledgements that somebody counts.
	acknowledged chan struct{}
}

// write writes two keys at a time through one node until ctx ends. Refused, it waits for news.
func (h *history) write(ctx context.Context, node *testNode, writer int) {
	for i := 0; ctx.Err() == nil; i++ {
		changed := node.changed.Next()
		writes := []*command.Write{put(fmt.Sprintf("%d-%d-a", writer, i), "v"), put(fmt.Sprintf("%d-%d-b", writer, i), "v")}
		results := node.Write(ctx, batchOf(writes...), time.Now().Add(testLimit), nil)
		h.mu.Lock()
		for j, result := range results {
			outcome := pb.Outcome_OUTCOME_APPLIED
			if result.Err != nil {
				outcome = result.Err.Outcome
			}
			h.outcomes[string(writes[j].GetPut().Key)] = outcome
		}
		h.mu.Unlock()
		if results[0].Err == nil {
			select {
			case h.acknowledged <- struct{}{}:
			default:
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// has reads a key from whoever leads.
func (c *cluster) has(key string) bool {
	c.t.Helper()
	for {
		switch _, err := c.leader().get(key); {
		case err == nil:
			return true
		case errors.Is(err, errAbsent):
			return false
		case c.ctx.Err() != nil:
			c.t.Fatalf("get %s: %v", key, err)
		}
	}
}

func TestAnOrderlyEndIsShortWhenThePeersAreGone(t *testing.T) {
	c := startCluster(t, 3, brisk, nil)
	leader := c.leader()
	c.network.cut(leader.id, ids(c.others(leader))...)
	flight := background(func() *pb.Error { return leader.put("k", "v").Err.Proto(0, "") })
	begin := time.Now()
	ctx, cancel := context.WithTimeout(c.ctx, 4*time.Second)
	defer cancel()
	leader.Quiesce(ctx)
	leader.crash()
	if took := time.Since(begin); took > 4*time.Second {
		t.Fatalf("the end took %s", took)
	}
	// Whether it was proposed before the end began is chance; answered it is, and not as applied.
	if err := receive(t, flight); err.Outcome == pb.Outcome_OUTCOME_APPLIED {
		t.Fatalf("got %v", err)
	}
}

package replica

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// oneCampaigns is a cluster whose first node leads. When the leader falls silent, only the second campaigns by itself; the third
// would believe in the leader for a minute, as Raft has it, but calls it silent after so long.
func oneCampaigns(t *testing.T, silence time.Duration) (c *cluster, leader, candidate, voter *testNode) {
	t.Helper()
	c = startCluster(t, 3, patient, func(i int, o *Options) {
		if i == 1 {
			o.Timing = brisk
		}
	})
	leader, candidate, voter = c.nodes[0], c.nodes[1], c.nodes[2]
	if first := c.leader(); first != leader {
		if err := first.TransferLeadership(c.ctx, leader.id); err != nil {
			t.Fatal(err)
		}
		leader.mustAwait("does not lead", func(s Status) bool { return s.Ready })
	}
	leader.mustPut("k", "v")
	for _, n := range c.others(leader) {
		n.catchUp(leader)
	}
	voter.transport.OnCampaign((&silentVoter{
		log: &logGuard{Log: voter.log, snapshots: fakeSnapshots(0), configurations: noConfigurations()}, clock: voter.options.Clock, timing: Timing{Heartbeat: silence},
		voters: voter.voters, raft: voter.raft, header: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax},
	}).asked())
	return c, leader, candidate, voter
}

// The first that notices is elected: nobody waits for the timers of the others.
func TestWhoHearsNoLeaderHelpsToReplaceIt(t *testing.T) {
	c, leader, candidate, voter := oneCampaigns(t, 100*time.Millisecond)
	c.network.cut(leader.id, candidate.id, voter.id)
	candidate.mustAwait("is not elected", func(s Status) bool { return s.Ready })
	candidate.mustGet("k", "v")
}

// A node that does not hear the leader, alone, deposes nobody.
func TestWhoHearsTheLeaderKeepsIt(t *testing.T) {
	c, leader, candidate, voter := oneCampaigns(t, 20*time.Second)
	before := leader.raft.CurrentTerm()
	c.network.cut(leader.id, candidate.id)
	candidate.mustAwait("does not campaign", func(s Status) bool { return s.Role == raft.Candidate })
	// Several of its campaigns.
	for end := time.Now().Add(4 * brisk.Heartbeat); time.Now().Before(end); {
		if result := leader.put("k", "w"); result.Err != nil {
			t.Fatalf("the leader was deposed: %v", result.Err)
		}
	}
	if term := leader.raft.CurrentTerm(); term != before || voter.raft.CurrentTerm() != before {
		t.Errorf("the term is %d, was %d", term, before)
	}
}

func TestAPreVoteIsForAVoterWithAGoodLogAndANewTerm(t *testing.T) {
	_, _, candidate, voter := oneCampaigns(t, 0)
	v := silentVoter{
		log: &logGuard{Log: voter.log, snapshots: fakeSnapshots(0), configurations: noConfigurations()}, clock: voter.options.Clock, voters: voter.voters, raft: voter.raft,
	}
	term, last := voter.raft.CurrentTerm(), voter.raft.LastIndex()
	for name, c := range map[string]struct {
		id              string
		term, index, of uint64
		granted         bool
	}{
		"as good":       {candidate.id, term + 1, last, term, true},
		"a newer log":   {candidate.id, term + 1, last - 1, term + 1, true},
		"a shorter log": {candidate.id, term + 1, last - 1, term, false},
		"an older log":  {candidate.id, term + 1, last + 9, term - 1, false},
		"no new term":   {candidate.id, term, last, term, false},
		"nobody":        {"nobody", term + 1, last, term, false},
		"a new voter":   {"nobody", term + 1, last + 1, term, true},
	} {
		response := v.preVote(&raft.RequestPreVoteRequest{
			RPCHeader: raft.RPCHeader{ID: []byte(c.id)}, Term: c.term, LastLogIndex: c.index, LastLogTerm: c.of,
		})
		if granted := response != nil && response.Granted; granted != c.granted {
			t.Errorf("%s: granted %v", name, granted)
		}
	}
}

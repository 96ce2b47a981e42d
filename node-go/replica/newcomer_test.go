package replica

import (
	"testing"

	"github.com/hashicorp/raft"
)

// The promotion was committed by the leader and the new voter. Two of three voters are left: one does not know the other, whose log
// it lacks.
func TestANewVoterLeadsWhenTheLeaderIsLost(t *testing.T) {
	c := startSome(t, 3, 2, brisk, nil)
	leader, newcomer := c.leader(), c.nodes[2]
	behind := c.others(leader)[0]
	mustChange(t)(leader.add(newcomer, 0))
	leader.mustPut("k", "old")
	behind.catchUp(leader)
	newcomer.catchUp(leader)
	c.network.cut(behind.id, leader.id)
	// As Promote does it, which would have this node prove first that it leads.
	if err := leader.raft.AddVoter(raft.ServerID(newcomer.id), raft.ServerAddress(newcomer.id), 0, testLimit).Error(); err != nil {
		t.Fatal(err)
	}
	leader.mustPut("k", "acknowledged")
	leader.crash()
	next := c.leader()
	if next != newcomer {
		t.Fatalf("%s leads", next.id)
	}
	next.mustGet("k", "acknowledged")
	next.mustPut("k", "new")
	behind.mustHaveVoters(c.nodes...)
}

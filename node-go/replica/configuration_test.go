package replica

import (
	"testing"

	"github.com/hashicorp/raft"
)

// Raft reads its last entry first when it starts. If that is a configuration that a new leader then takes back, the one before
// counts again.
func TestAConfigurationThatIsTakenBackAfterARestartLeavesTheOneBefore(t *testing.T) {
	c := startCluster(t, 3, brisk, nil)
	leader := c.leader()
	bootstrapped := leader.Status().Configuration
	sender := leader.sender()
	sender.Release = func(_ raft.ServerID, message *raft.AppendEntriesRequest, closed <-chan struct{}) error {
		if tellsOfChange(message) {
			<-closed
			return errLost
		}
		return nil
	}
	leader.transport.OnAppend(sender)
	leader.raft.RemoveServer(raft.ServerID(c.others(leader)[0].id), 0, 0)
	leader.mustAwait("the removal is not in its log", func(s Status) bool { return s.Configuration > bootstrapped })
	leader.crash()
	c.network.cut(leader.id, ids(c.others(leader))...)
	c.leader().mustPut("k", "v")
	leader.open()
	if now := leader.configurations.newest(); now.index <= bootstrapped {
		t.Fatalf("it has forgotten the removal: %+v", now)
	}
	c.network.mend(leader.id, ids(c.others(leader))...)
	leader.mustHaveVoters(c.nodes...)
	if now := leader.Status().Configuration; now != bootstrapped {
		t.Fatalf("the configuration is %d, and was %d", now, bootstrapped)
	}
}

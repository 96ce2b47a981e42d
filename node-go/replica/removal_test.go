package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/hashicorp/raft"
)

// halfway is a removal that its leader has appended, and that none of those left has heard of.
type halfway struct {
	leader, removed *testNode
	left            []*testNode
	// ended is what became of the message to the node that is removed, if it was withheld.
	ended chan error
}

// removeHalfway returns when the message to the node that is removed is withheld, or has arrived.
func removeHalfway(t *testing.T, c *cluster) *halfway {
	t.Helper()
	leader := c.leader()
	h := &halfway{leader: leader, removed: c.others(leader)[0], left: c.others(leader)[1:], ended: make(chan error, 8)}
	leader.mustPut("k", "v")
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	decided := make(chan struct{}, 8)
	sender := leader.sender()
	release := sender.Release
	sender.Release = func(to raft.ServerID, message *raft.AppendEntriesRequest, closed <-chan struct{}) error {
		switch {
		case !tellsOfChange(message):
			return nil
		case to != raft.ServerID(h.removed.id):
			<-closed
			return errLost
		case removalOf(to, message.Entries) == 0:
			return release(to, message, closed)
		}
		decided <- struct{}{}
		err := release(to, message, closed)
		h.ended <- err
		return err
	}
	leader.transport.OnAppend(sender)
	go func() {
		if h.removed.await(ctx, func(s Status) bool { return !s.Member }) {
			decided <- struct{}{}
		}
	}()
	before := leader.Status().Configuration
	leader.raft.RemoveServer(raft.ServerID(h.removed.id), 0, 0)
	leader.mustAwait("the removal is not in its log", func(s Status) bool { return s.Configuration > before })
	go leader.sendNewest(h.removed)
	select {
	case <-decided:
	case <-c.ctx.Done():
		t.Fatalf("the removal went nowhere: %v", c.statuses())
	}
	return h
}

// sendNewest does what Raft does for a node that is removed, unless it has another message under way to that node just then:
// to send the newest entry.
func (n *testNode) sendNewest(to *testNode) {
	var entry, before raft.Log
	if err := errors.Join(n.log.GetLog(n.raft.LastIndex(), &entry), n.log.GetLog(n.raft.LastIndex()-1, &before)); err != nil {
		n.cluster.t.Error(err)
		return
	}
	request := &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(n.id), Addr: []byte(n.id)},
		Term:      entry.Term, PrevLogEntry: before.Index, PrevLogTerm: before.Term, Entries: []*raft.Log{&entry},
	}
	// What becomes of it is seen where it arrives.
	_ = n.transport.AppendEntries(raft.ServerID(to.id), raft.ServerAddress(to.id), request, &raft.AppendEntriesResponse{})
}

// outcome is how the message to the node that is removed ended.
func (h *halfway) outcome() error {
	h.leader.cluster.t.Helper()
	select {
	case err := <-h.ended:
		return err
	case <-h.leader.cluster.ctx.Done():
		h.leader.cluster.t.Fatal("nobody lets go of the message to the node that is removed")
		return nil
	}
}

func tellsOfChange(message *raft.AppendEntriesRequest) bool {
	return slices.ContainsFunc(message.Entries, func(entry *raft.Log) bool { return entry.Type == raft.LogConfiguration })
}

// If D had its removal, with B and C left, it would neither vote for them, its log being longer, nor campaign.
func TestALeaderThatDiesWhileItRemovesAMemberLeavesAMajorityThatElects(t *testing.T) {
	c := startSome(t, 4, 4, brisk, nil)
	h := removeHalfway(t, c)
	h.leader.crash()
	next := c.leader()
	next.mustPut("k", "w")
	next.mustGet("k", "w")
	if err := h.outcome(); err == nil {
		t.Error("the member was told of a removal that was not committed")
	}
	h.leader.open()
	h.leader.mustHaveVoters(c.nodes...)
	h.removed.mustHaveVoters(c.nodes...)
}

func TestALeaderThatIsDeposedWhileItRemovesAMemberDoesNotTellIt(t *testing.T) {
	c := startSome(t, 4, 4, brisk, nil)
	h := removeHalfway(t, c)
	c.network.cut(h.leader.id, ids(h.left)...)
	if err := h.outcome(); !errors.Is(err, errNotReleased) {
		t.Fatalf("the message to the member ended with %v", err)
	}
	c.leader(h.leader).mustPut("k", "w")
	c.network.mend(h.leader.id, ids(h.left)...)
	h.leader.mustHaveVoters(c.nodes...)
	h.removed.mustHaveVoters(c.nodes...)
}

// The leader that is elected here knows of no commit until the node that was away has all of its log.
func TestANodeThatWasRemovedAndIsBackGetsBothFromALeaderThatKnowsOfNoCommit(t *testing.T) {
	c := startCluster(t, 3, brisk, nil)
	leader := c.leader()
	back, other := c.others(leader)[0], c.others(leader)[1]
	back.catchUp(leader)
	back.crash()
	mustChange(t)(leader.remove(back, 0))
	for i := range 2 * maxAppendEntries {
		// The removal and the return are in different messages.
		leader.mustPut("k", fmt.Sprint(i))
	}
	if err := leader.raft.AddVoter(raft.ServerID(back.id), raft.ServerAddress(back.id), 0, 0).Error(); err != nil {
		t.Fatal(err)
	}
	other.crash()
	leader.crash()
	back.open()
	leader.open()
	again := c.leader()
	again.mustGet("k", fmt.Sprint(2*maxAppendEntries-1))
	back.mustHaveVoters(c.nodes...)
}

func TestWhichRemovalAMessageCarries(t *testing.T) {
	entry := func(index uint64, members ...string) *raft.Log {
		return &raft.Log{Index: index, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(configurationOf(members))}
	}
	write := &raft.Log{Index: 9, Type: raft.LogCommand}
	for _, c := range []struct {
		name    string
		entries []*raft.Log
		want    uint64
	}{
		{"no configuration", []*raft.Log{write}, 0},
		{"its removal", []*raft.Log{entry(7, "a", "d"), entry(8, "a"), write}, 8},
		{"another one's", []*raft.Log{entry(8, "a", "d")}, 0},
		{"its removal and its return", []*raft.Log{entry(7, "a"), write, entry(10, "a", "d")}, 0},
	} {
		if got := removalOf("d", c.entries); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

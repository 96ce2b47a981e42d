package replica

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	pb "kvorum/node/gen/errors"
)

func TestARemovedNodeServesNothing(t *testing.T) {
	c, _ := asking(t, steady, nil)
	leader := c.leader()
	removed := c.others(leader)[0]
	leader.mustPut("k", "v")
	removed.eventuallyReadStale("k", "v", time.Hour)
	removed.catchUp(leader)
	mustChange(t)(leader.remove(removed, 0))
	removed.mustAwait("still a member", func(s Status) bool { return !s.Member && s.Configuration > 1 })
	// It has a proof that is young enough, and a state that has what it proves.
	_, err := removed.stale("k", time.Hour)
	expectRefused(t, err, pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
	_, err = removed.Seed(0)
	expectRefused(t, err, pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
	expectError(t, removed.put("k", "w"), pb.ErrorCode_ERROR_CODE_NOT_LEADER, notApplied)
	// A hint that comes late makes it campaign no more.
	if err := removed.Campaign(c.ctx); err != nil {
		t.Fatal(err)
	}
	term := leader.Status().Term
	leader.mustPut("k", "w")
	leader.mustGet("k", "w")
	if s := removed.Status(); leader.Status().Term != term || s.Role != raft.Follower {
		t.Fatalf("the leader's term went from %d to %d; %+v", term, leader.Status().Term, s)
	}
	mustChange(t)(leader.add(removed, 0))
	removed.eventuallyReadStale("k", "w", 0)
}

// Raft's own message, which knows of no commit yet, hangs for ever.
func TestALeaderTellsANodeThatItHasRemovedIt(t *testing.T) {
	c := startSome(t, 3, 3, steady, nil)
	leader := c.leader()
	removed := c.others(leader)[0]
	leader.mustPut("k", "v")
	removed.catchUp(leader)
	sender := leader.sender()
	release := sender.Release
	sender.Release = func(to raft.ServerID, message *raft.AppendEntriesRequest, closed <-chan struct{}) error {
		if removalOf(to, message.Entries) > message.LeaderCommitIndex {
			<-closed
			return errLost
		}
		return release(to, message, closed)
	}
	leader.transport.OnAppend(sender)
	mustChange(t)(leader.remove(removed, 0))
	removed.mustAwait("still a member", func(s Status) bool { return !s.Member && s.Configuration > 1 })
}

// Its peers hear it campaign, and it does not hear of its removal.
func TestARemovedNodeThatDoesNotKnowDisturbsNobody(t *testing.T) {
	c, clocks := asking(t, brisk, nil)
	leader := c.leader()
	leader.mustPut("k", "old")
	removed, other := c.others(leader)[0], c.others(leader)[1]
	removed.eventuallyReadStale("k", "old", 0)
	c.network.hold(leader.id, removed.id)
	mustChange(t)(leader.remove(removed, 0))
	leader.mustPut("k", "new")
	term := leader.Status().Term
	removed.mustAwait("does not campaign", func(s Status) bool { return s.Role == raft.Candidate })
	response := &raft.RequestPreVoteResponse{}
	request := &raft.RequestPreVoteRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(removed.id), Addr: []byte(removed.id)},
		Term:      term + 1, LastLogIndex: 1 << 20, LastLogTerm: term,
	}
	if err := removed.transport.RequestPreVote(raft.ServerID(other.id), raft.ServerAddress(other.id), request, response); err != nil || response.Granted {
		t.Fatalf("it was promised a vote: %+v %v", response, err)
	}
	// A state of before its removal is what it may answer with, within the bound; it gets no new proof.
	clocks[slices.Index(c.nodes, removed)].leap(testLimit)
	if got, err := removed.stale("k", testLimit/2); err == nil {
		t.Fatalf("it answered %q", got)
	}
	leader.mustPut("k", "newer")
	if now := leader.Status(); now.Term != term || now.Role != raft.Leader {
		t.Fatalf("it led in term %d: %+v", term, now)
	}
}

package replica

import (
	"cmp"
	"slices"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	"kvorum/node/transport"
)

// voter answers candidates that Raft would refuse without reason (transport.Voter).
func (r *Replica) voter(log *logGuard) transport.Voter {
	v := silentVoter{
		log: log, clock: r.options.Clock, timing: r.options.Timing, voters: r.voters, raft: r.raft,
		header: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(r.id), Addr: []byte(r.id)},
	}
	return v.asked()
}

type silentVoter struct {
	raft   *raft.Raft
	log    *logGuard
	clock  clock.Clock
	timing Timing
	voters func() []raft.ServerID
	header raft.RPCHeader
}

func (v *silentVoter) asked() transport.Voter {
	return transport.Voter{Silent: v.silent, PreVote: v.preVote, MayBeNew: v.mayBeNew}
}

// silent: Raft counts as contact what its leader says and what this node votes for.
func (v *silentVoter) silent() bool {
	leader, _ := v.raft.LeaderWithID()
	return v.raft.State() == raft.Follower && leader != "" && v.clock.Since(v.raft.LastContact()) >= v.timing.Heartbeat
}

// preVote is hashicorp/raft's own answer to a candidate, but for the leader that is silent and for members that this node does not
// know yet. nil: Raft is to answer.
func (v *silentVoter) preVote(request *raft.RequestPreVoteRequest) *raft.RequestPreVoteResponse {
	if request.Term <= v.raft.CurrentTerm() || !v.silent() && !v.leaderless() {
		return nil
	}
	order, ok := v.compareLog(request.LastLogTerm, request.LastLogIndex)
	known := v.knows(request.ID)
	if !ok || order > 0 || !known && order == 0 || known && !v.silent() {
		return nil
	}
	return &raft.RequestPreVoteResponse{RPCHeader: v.header, Term: request.Term, Granted: true}
}

func (v *silentVoter) mayBeNew(request *raft.RequestVoteRequest) bool {
	if v.knows(request.ID) {
		return false
	}
	order, ok := v.compareLog(request.LastLogTerm, request.LastLogIndex)
	return ok && order < 0
}

func (v *silentVoter) knows(candidate []byte) bool {
	return slices.Contains(v.voters(), raft.ServerID(candidate))
}

func (v *silentVoter) leaderless() bool {
	leader, _ := v.raft.LeaderWithID()
	return leader == ""
}

// compareLog is how this node's log compares with one that ends so: below 0 when it lacks something of that.
func (v *silentVoter) compareLog(lastTerm, lastIndex uint64) (order int, ok bool) {
	last := v.raft.LastIndex()
	var entry raft.Log
	if err := v.log.GetLog(last, &entry); err != nil {
		return 0, false
	}
	return cmp.Or(cmp.Compare(entry.Term, lastTerm), cmp.Compare(last, lastIndex)), true
}

package replica

import (
	"slices"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	"kvorum/node/transport"
)

// voter answers candidates while the leader is silent (transport.Voter).
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
	return transport.Voter{Silent: v.silent, PreVote: v.preVote}
}

// silent: Raft counts as contact what its leader says and what this node votes for.
func (v *silentVoter) silent() bool {
	leader, _ := v.raft.LeaderWithID()
	return v.raft.State() == raft.Follower && leader != "" && v.clock.Since(v.raft.LastContact()) >= v.timing.Heartbeat
}

// preVote is hashicorp/raft's own answer to a candidate, but for the leader that is silent. nil: Raft is to answer, which
// refuses.
func (v *silentVoter) preVote(request *raft.RequestPreVoteRequest) *raft.RequestPreVoteResponse {
	term := v.raft.CurrentTerm()
	if request.Term <= term || !slices.Contains(v.voters(), raft.ServerID(request.ID)) || !v.isNoNewer(request) {
		return nil
	}
	return &raft.RequestPreVoteResponse{RPCHeader: v.header, Term: request.Term, Granted: true}
}

// isNoNewer says whether this node's log is no newer than the candidate's.
func (v *silentVoter) isNoNewer(request *raft.RequestPreVoteRequest) bool {
	last := v.raft.LastIndex()
	var entry raft.Log
	if err := v.log.GetLog(last, &entry); err != nil {
		return false
	}
	return entry.Term < request.LastLogTerm || entry.Term == request.LastLogTerm && last <= request.LastLogIndex
}

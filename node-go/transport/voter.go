package transport

import "github.com/hashicorp/raft"

/*
Thesis, section 4.2.3: a server neither grants a vote nor takes the term of a candidate within the minimum election time-out of
hearing from a leader. hashicorp/raft 1.7.3 asks instead whether a leader is known, and forgets a leader only when its own timer
fires, which is once to twice the time-out after the timer before. So when a leader falls silent, it takes the last of the voters
that are needed to notice, and not the first. A Voter says what the thesis asks.

Section 4.1: a server votes whether or not the candidate is in its configuration. hashicorp/raft refuses who is no voter as far as it
knows. After the promotion of a third voter, committed by the leader and that voter, the loss of the leader would leave two of three
voters without a leader for ever: the one refuses whom it does not know, the other whose log is older. So a candidate that has what
this node's log lacks is looked at like any other. One that was removed disturbs nobody by that: while there is a leader nobody votes.
*/

// Voter is this node, as far as candidates are concerned.
type Voter struct {
	// Silent says whether this node follows a leader that it has not heard of for the election time-out.
	Silent func() bool
	// PreVote answers a candidate that asks whether it would be voted for, if Raft would refuse it without reason. It changes nothing.
	PreVote func(*raft.RequestPreVoteRequest) *raft.RequestPreVoteResponse
	// MayBeNew says whether a candidate is no voter as far as this node knows, and has what its log lacks.
	MayBeNew func(*raft.RequestVoteRequest) bool
}

// OnCampaign has this node asked before Raft is when a candidate asks for its vote.
func (t *Transport) OnCampaign(voter Voter) { t.voter.Store(&voter) }

// preVoted answers a candidate that Raft would refuse because of a leader that is silent, or of members that have changed; false for
// every other call.
func (t *Transport) preVoted(call raft.RPC) bool {
	request, ok := call.Command.(*raft.RequestPreVoteRequest)
	voter := t.voter.Load()
	if !ok || voter == nil {
		return false
	}
	response := voter.PreVote(request)
	if response == nil {
		return false
	}
	call.Respond(response, nil)
	return true
}

// letVote lets Raft look at term and log of a candidate although it knows of a leader, if that is silent. It is the flag of a
// candidate to whom a leader hands over, which says the same: never mind the leader. Likewise for one that may be a new voter.
func (t *Transport) letVote(call raft.RPC) {
	request, ok := call.Command.(*raft.RequestVoteRequest)
	voter := t.voter.Load()
	if !ok || voter == nil {
		return
	}
	if voter.Silent() {
		request.LeadershipTransfer = true
	}
	if voter.MayBeNew(request) {
		// Raft does not ask who a candidate is that does not say so.
		request.ID = nil
	}
}

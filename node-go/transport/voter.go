package transport

import "github.com/hashicorp/raft"

/*
Thesis, section 4.2.3: a server neither grants a vote nor takes the term of a candidate within the minimum election time-out of
hearing from a leader. hashicorp/raft 1.7.3 asks instead whether a leader is known, and forgets a leader only when its own timer
fires, which is once to twice the time-out after the timer before. So when a leader falls silent, it takes the last of the voters
that are needed to notice, and not the first. A Voter says what the thesis asks.
*/

// Voter is this node, as far as candidates are concerned.
type Voter struct {
	// Silent says whether this node follows a leader that it has not heard of for the election time-out.
	Silent func() bool
	// PreVote answers a candidate that asks whether it would be voted for. It changes nothing.
	PreVote func(*raft.RequestPreVoteRequest) *raft.RequestPreVoteResponse
}

// OnCampaign has this node asked before Raft is when a candidate asks for its vote.
func (t *Transport) OnCampaign(voter Voter) { t.voter.Store(&voter) }

// preVoted answers a candidate that Raft would refuse because of a leader that is silent; false for every other call.
func (t *Transport) preVoted(call raft.RPC) bool {
	request, ok := call.Command.(*raft.RequestPreVoteRequest)
	voter := t.voter.Load()
	if !ok || voter == nil || !voter.Silent() {
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
// candidate to whom a leader hands over, which says the same: never mind the leader.
func (t *Transport) letVote(call raft.RPC) {
	request, ok := call.Command.(*raft.RequestVoteRequest)
	voter := t.voter.Load()
	if ok && voter != nil && voter.Silent() {
		request.LeadershipTransfer = true
	}
}

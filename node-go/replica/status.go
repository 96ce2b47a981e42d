package replica

import (
	"github.com/hashicorp/raft"

	pb "kvorum/node/gen/errors"
)

// Status is what this replica knows of itself and its shard, read at one moment.
type Status struct {
	Role raft.RaftState
	// Voter is false for a member without a vote, and for a node that is no member.
	Voter bool
	Term  uint64
	// Leader is empty unless it leads in Term.
	Leader string
	// Ready: this node leads and serves.
	Ready          bool
	LastLogIndex   uint64
	CommitIndex    uint64
	AppliedIndex   uint64
	SyncedIndex    uint64
	Members        []raft.Server
	OwnershipEpoch uint64
}

// Status reads the status now.
func (r *Replica) Status() Status {
	term, leader := r.leader()
	servers := r.raft.GetConfiguration().Configuration().Servers
	return Status{
		Role: r.raft.State(), Voter: isVoter(servers, r.id), Term: term, Leader: string(leader),
		Ready: r.leadership.isReady(), LastLogIndex: r.raft.LastIndex(), CommitIndex: r.raft.CommitIndex(),
		AppliedIndex: r.fsm.Applied(), SyncedIndex: r.engine.Synced(), Members: servers,
		OwnershipEpoch: r.fsm.OwnershipEpoch(),
	}
}

// leader is the term and who leads in it; the id is empty when unknown. Raft forgets a leader before it moves its term,
// and sets one after: so if the term is the same before and after the leader is read, they belong together.
func (r *Replica) leader() (uint64, raft.ServerID) {
	for {
		term := r.raft.CurrentTerm()
		_, leader := r.raft.LeaderWithID()
		if r.raft.CurrentTerm() == term {
			return term, leader
		}
	}
}

// hint is who leads, for a client to go on; nil when this node does not know, or would name itself.
func (r *Replica) hint() *pb.LeaderHint {
	term, leader := r.leader()
	if leader == "" || leader == r.id {
		return nil
	}
	address, ok := r.options.Book.Get(string(leader))
	if !ok {
		return nil
	}
	return &pb.LeaderHint{NodeId: string(leader), Address: address, Term: term}
}

func isVoter(servers []raft.Server, id raft.ServerID) bool {
	for _, server := range servers {
		if server.ID == id {
			return server.Suffrage == raft.Voter
		}
	}
	return false
}

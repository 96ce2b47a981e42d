package replica

import (
	"time"

	"github.com/hashicorp/raft"

	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Status is what this replica knows of itself and its shard, read at one moment.
type Status struct {
	Role raft.RaftState
	// Member and Voter are this node's place in the newest configuration that it has.
	Member bool
	Voter  bool
	Term   uint64
	// Leader is empty unless it leads in Term.
	Leader string
	// Ready: this node leads and serves.
	Ready        bool
	LastLogIndex uint64
	CommitIndex  uint64
	AppliedIndex uint64
	SyncedIndex  uint64
	// Configuration is the entry that says who the members are, 0 when there are none yet.
	Configuration          uint64
	ConfigurationCommitted bool
	Members                []Member
	OwnershipEpoch         uint64
	// Format of commands that the shard uses, as far as this node has applied its log.
	Format uint32
	// Append is how long an append to the log takes: raftlog.Log.Pace.
	Append time.Duration
}

// Member is one of the shard's nodes.
type Member struct {
	ID    string
	Voter bool
	// Behind is, on a leader, how many entries of its log this member has not acknowledged as durable.
	Behind uint64
}

// Status reads the status now.
func (r *Replica) Status() Status {
	term, leader := r.leader()
	// Before the configuration is read: what is committed then is not replaced in between.
	committed := max(r.raft.CommitIndex(), r.fsm.Applied())
	now := r.configurations.newest()
	return Status{
		Role: r.raft.State(), Member: now.has(r.id), Voter: isVoter(now.servers, r.id), Term: term, Leader: string(leader),
		Ready: r.leadership.isReady(), LastLogIndex: r.raft.LastIndex(), CommitIndex: r.raft.CommitIndex(),
		AppliedIndex: r.fsm.Applied(), SyncedIndex: r.engine.Synced(),
		Configuration: now.index, ConfigurationCommitted: now.index > 0 && now.index <= committed,
		Members: r.membersOf(now, term), OwnershipEpoch: r.fsm.OwnershipEpoch(), Format: r.fsm.Format(), Append: r.log.Pace(),
	}
}

func (r *Replica) membersOf(now configuration, term uint64) []Member {
	var members []Member
	leads := r.raft.State() == raft.Leader
	for _, server := range now.servers {
		member := Member{ID: string(server.ID), Voter: server.Suffrage == raft.Voter}
		if leads && server.ID != r.id {
			member.Behind = r.behind(term, server.ID)
		}
		members = append(members, member)
	}
	return members
}

// behind is for the leader of the term.
func (r *Replica) behind(term uint64, id raft.ServerID) uint64 {
	last, stored := r.raft.LastIndex(), r.transport.Stored(term, id)
	return last - min(last, stored)
}

// Follows says whether this node is a member that leads, or has heard of a leader within so long: what it has not applied by now
// comes, or it finds out that it is cut off.
func (r *Replica) Follows(within time.Duration) bool {
	return r.isMember() && (r.raft.State() == raft.Leader || r.options.Clock.Since(r.lastContact()) <= within)
}

// isMember is true also when there are no members yet.
func (r *Replica) isMember() bool {
	now := r.configurations.newest()
	return now.index == 0 || now.has(r.id)
}

func notMember() *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "this node is no member of the shard, as far as it knows: ask another one")
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

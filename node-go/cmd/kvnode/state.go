package main

import (
	"context"
	"os"

	"github.com/hashicorp/raft"

	pb "kvorum/node/gen/errors"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
	"kvorum/node/server"
	"kvorum/node/watch"
)

// Changed closes at the next change of the status.
func (n *node) Changed() <-chan struct{} { return n.changed.Next() }

// Status is the status now.
func (n *node) Status() *nodev1.NodeStatus {
	n.mu.Lock()
	state, r := n.state, n.replica
	n.mu.Unlock()
	status := &nodev1.NodeStatus{
		ClusterId: n.config.cluster, Shard: n.config.shard, NodeId: n.identity.Node, Address: n.address,
		Pid: uint32(os.Getpid()), DataDir: n.config.data, Version: version, State: state, FormatMax: n.config.formatMax,
	}
	if r != nil {
		fill(status, r.Status())
	}
	return status
}

func fill(status *nodev1.NodeStatus, now replica.Status) {
	status.Role = roleOf(now)
	status.Term, status.LeaderId, status.Ready = now.Term, now.Leader, now.Ready
	status.LastLogIndex, status.CommitIndex = now.LastLogIndex, now.CommitIndex
	status.AppliedIndex, status.SyncedIndex = now.AppliedIndex, now.SyncedIndex
	status.OwnershipEpoch, status.Format = now.OwnershipEpoch, now.Format
	status.AppendUs = uint32(now.Append.Microseconds())
	status.Configuration, status.ConfigurationCommitted = now.Configuration, now.ConfigurationCommitted
	for _, member := range now.Members {
		status.Members = append(status.Members, &nodev1.Member{
			NodeId: member.ID, Voter: member.Voter, Behind: member.Behind,
		})
	}
	if status.State == nodev1.State_STATE_SERVING {
		status.State = servingState(now)
	}
}

func servingState(now replica.Status) nodev1.State {
	switch {
	case now.Member:
		return nodev1.State_STATE_SERVING
	case len(now.Members) == 0:
		return nodev1.State_STATE_WAITING
	default:
		return nodev1.State_STATE_NOT_MEMBER
	}
}

func roleOf(now replica.Status) nodev1.Role {
	switch {
	case now.Role == raft.Leader:
		return nodev1.Role_ROLE_LEADER
	case now.Role == raft.Candidate:
		return nodev1.Role_ROLE_CANDIDATE
	case now.Role == raft.Follower && now.Voter:
		return nodev1.Role_ROLE_FOLLOWER
	case now.Role == raft.Follower && now.Member:
		return nodev1.Role_ROLE_NON_VOTER
	default:
		return nodev1.Role_ROLE_UNSPECIFIED
	}
}

// Replica is the open replica, or why there is none.
func (n *node) Replica() (server.Replica, *kverr.Error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.replica == nil {
		err := kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "the node is not open yet: %s", n.state)
		err.RetryAfterMs = openRetryMs
		return nil, err
	}
	return n.replica, nil
}

// openRetryMs is advised to clients while the replica opens, which may take seconds: other nodes serve meanwhile.
const openRetryMs = 100

// AwaitReplica waits until the replica is open.
func (n *node) AwaitReplica(ctx context.Context) (server.Replica, *kverr.Error) {
	select {
	case <-n.opened:
		return n.Replica()
	case <-ctx.Done():
		return nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "the node is not open yet: %w", ctx.Err())
	}
}

// Changes are those that the replica applies.
func (n *node) Changes() *watch.Hub { return n.changes }

// SetPeers notes where the shard's nodes listen; durable on return.
func (n *node) SetPeers(peers []*kvorumv1.Node) error {
	for _, peer := range peers {
		n.book.Set(peer.Id, peer.Address)
	}
	return n.bookSaved()
}

// saveBook is called after each change of the book, by handshakes too.
func (n *node) saveBook(addresses map[string]string) {
	err := writePeers(n.around.fs, n.config.data, addresses)
	if err != nil {
		n.around.log.Error("the peers' addresses could not be saved", "error", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.saveError = err
}

func (n *node) bookSaved() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.saveError
}

func (n *node) setState(state nodev1.State) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != nodev1.State_STATE_STOPPING {
		n.state = state
	}
	n.changed.Raise()
}

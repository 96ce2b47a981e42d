package replica

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// aliveFraction of a heartbeat time-out: a follower that has acknowledged something so recently is worth handing
// leadership to. Heartbeats are sent at least every tenth of the time-out.
const aliveFraction = 2

// Bootstrap gives a new shard its members, voters all, named by id. It succeeds when they are the members already.
func (r *Replica) Bootstrap(ctx context.Context, ids []string) *kverr.Error {
	ids = slices.Sorted(slices.Values(ids))
	if !slices.Contains(ids, string(r.id)) {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "node %s is not among the members", r.id)
	}
	for {
		changed := r.changed.Next()
		if now := r.configurations.newest(); now.index > 0 {
			return compareMembers(now, ids)
		}
		err := r.raft.BootstrapCluster(configurationOf(ids)).Error()
		if err == nil {
			r.changed.Raise()
			r.campaignFirst(ids)
			return nil
		}
		if !errors.Is(err, raft.ErrCantBootstrap) {
			return kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "bootstrap: %w", err)
		}
		// This node has voted for a member that was bootstrapped before it: the members will come from there.
		select {
		case <-changed:
		case <-ctx.Done():
			return kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "bootstrap: no word from the members yet: %w", ctx.Err())
		}
	}
}

// configurationOf is the same, byte for byte, on every node that is given the same members: it becomes entry 1 of the
// log of each. Raft's addresses are ids, so that a node's address may change.
func configurationOf(ids []string) raft.Configuration {
	var configuration raft.Configuration
	for _, id := range ids {
		configuration.Servers = append(configuration.Servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id),
		})
	}
	return configuration
}

// campaignFirst saves a new shard the wait for a heartbeat time-out: one of its members campaigns at once. The others
// grant their votes whether or not they have been bootstrapped yet.
func (r *Replica) campaignFirst(ids []string) {
	if ids[0] == string(r.id) {
		r.campaign()
	}
}

func compareMembers(now configuration, ids []string) *kverr.Error {
	var have []string
	for _, server := range now.servers {
		have = append(have, string(server.ID))
	}
	slices.Sort(have)
	if !slices.Equal(have, ids) {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, "the shard has other members: %v", have)
	}
	return nil
}

// TransferLeadership hands leadership to a voter, or to the most up-to-date one that answers when `to` is empty. A node
// that does not lead has nothing to hand over.
func (r *Replica) TransferLeadership(ctx context.Context, to string) *kverr.Error {
	if r.raft.State() != raft.Leader {
		return nil
	}
	candidates, err := r.successors(ctx, to)
	if err != nil {
		return err
	}
	var last error
	for _, candidate := range candidates {
		if last = r.handTo(ctx, candidate); last == nil || ctx.Err() != nil || r.raft.State() != raft.Leader {
			break
		}
	}
	if last != nil && r.raft.State() == raft.Leader {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "transfer leadership: %w", last)
	}
	return nil
}

// handTo ends within an election time-out, when Raft gives up, or with ctx.
func (r *Replica) handTo(ctx context.Context, id raft.ServerID) error {
	future := r.raft.LeadershipTransferToServer(id, raft.ServerAddress(id))
	done := make(chan error, 1)
	// It ends with its future, which Raft answers within an election time-out or when it is shut down.
	go func() { done <- future.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// successors are whom to try, best first. Raft's own choice may be a node that is gone: it only looks at the log.
func (r *Replica) successors(ctx context.Context, to string) ([]raft.ServerID, *kverr.Error) {
	voters := r.voters()
	if to != "" {
		if raft.ServerID(to) == r.id || !slices.Contains(voters, raft.ServerID(to)) {
			return nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "node %s is not another voter of this shard", to)
		}
		return []raft.ServerID{raft.ServerID(to)}, nil
	}
	var alive []raft.ServerID
	for _, voter := range voters {
		if voter != r.id && r.heardFrom(voter) && !r.transport.Refused(ctx, voter) {
			alive = append(alive, voter)
		}
	}
	return alive, nil
}

func (r *Replica) heardFrom(id raft.ServerID) bool {
	since := r.options.Clock.Now().Add(-r.options.Timing.Heartbeat / aliveFraction)
	return r.transport.AckedSince(r.raft.CurrentTerm(), since, []raft.ServerID{r.id, id}, r.id)
}

// awaitLeader waits a little until this node knows another leader, so that it can say so to its clients.
func (r *Replica) awaitLeader(ctx context.Context, limit time.Duration) {
	timer := r.options.Clock.NewTimer(limit)
	defer timer.Stop()
	for {
		changed := r.changed.Next()
		if _, leader := r.leader(); leader != "" && leader != r.id {
			return
		}
		select {
		case <-changed:
		case <-timer.C():
			return
		case <-ctx.Done():
			return
		}
	}
}

package replica

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// AskFormat asks a peer for the newest format of commands that it knows. It must make sure that it is this very node who
// answers.
type AskFormat func(ctx context.Context, peer Peer) (uint32, error)

// A member that does not know the shard's format stops for good. So the format is raised only when all members know the
// newer one, and nobody becomes a member who does not know the one in use. Both are looked at where members change, one after the
// other: between a look and what follows from it there is no other member. A leader that is replaced in between has its
// entry committed before its successor serves, or not at all.

// RaiseFormat has the shard use a format from now on.
func (r *Replica) RaiseFormat(ctx context.Context, format uint32, deadline time.Time) *kverr.Error {
	_, err := r.change(ctx, 0, deadline, func(ctx context.Context, m *membership) (uint64, *kverr.Error) {
		if format <= r.fsm.Format() {
			return m.now.index, nil
		}
		if err := r.allKnow(ctx, format, m.now.servers); err != nil {
			return 0, err
		}
		r.raising.Store(format)
		raise := &command.Command{Kind: &command.Command_Raise{Raise: &command.RaiseFormat{Format: format}}}
		return m.now.index, r.Propose(ctx, raise, deadline).Err
	})
	return err
}

func (r *Replica) allKnow(ctx context.Context, format uint32, servers []raft.Server) *kverr.Error {
	if known := r.formatMax(); format > known {
		return tooNew(r.id, known, format)
	}
	for _, server := range servers {
		if server.ID == r.id {
			continue
		}
		if err := r.knows(ctx, format, server.ID); err != nil {
			return err
		}
	}
	return nil
}

// knows asks a node, which has to answer: what it told earlier was another process's word, perhaps of a newer version.
func (r *Replica) knows(ctx context.Context, format uint32, id raft.ServerID) *kverr.Error {
	known, err := r.newestOf(ctx, id)
	if err == nil && known < format {
		err = tooNew(id, known, format)
	}
	return err
}

func (r *Replica) newestOf(ctx context.Context, id raft.ServerID) (uint32, *kverr.Error) {
	if id == r.id {
		return r.formatMax(), nil
	}
	address, found := r.options.Book.Get(string(id))
	if !found || r.options.AskFormat == nil {
		return 0, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "node %s cannot be asked which formats it knows", id)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	limit := r.options.Clock.AfterFunc(askLimit, cancel)
	defer limit.Stop()
	known, err := r.options.AskFormat(ctx, Peer{ID: string(id), Address: address})
	if err != nil {
		return 0, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "ask node %s which formats it knows: %w", id, err)
	}
	return known, nil
}

const (
	// newShardRetry is how long to wait before the members of a new shard are asked again: some of them only start.
	newShardRetry = 20 * time.Millisecond
	// newShardLimit bounds one try.
	newShardLimit = 5 * time.Second
)

// raiseFresh has a new shard begin with a newer format, as far as all members know it: there is no version before that it could
// go back to. A shard whose first leader does not find that out stays with the first format, as one that is not new does,
// until somebody raises it.
func (r *Replica) raiseFresh(ctx context.Context) {
	term := r.fresh.Load()
	// In this order: what a later leadership has stored was stored after this one had ended.
	if term == 0 || ctx.Err() != nil {
		return
	}
	defer r.fresh.CompareAndSwap(term, 0)
	for {
		format, err := r.freshFormat(ctx)
		if err == nil {
			err = r.RaiseFormat(ctx, format, r.options.Clock.Now().Add(newShardLimit))
		}
		if err == nil {
			r.options.Log.Info("a new shard", "format", format)
			return
		}
		r.options.Log.Debug("the format of a new shard is not known yet", "error", err)
		if clock.Wait(ctx, r.options.Clock, newShardRetry) != nil {
			return
		}
	}
}

func (r *Replica) freshFormat(ctx context.Context) (uint32, *kverr.Error) {
	format := r.options.FormatNew
	for _, server := range r.configurations.newest().servers {
		known, err := r.newestOf(ctx, server.ID)
		if err != nil {
			return 0, err
		}
		format = min(format, known)
	}
	return format, nil
}

// formatLacks refuses a write that the shard's format does not have. A leader that is not ready may not have applied the raise.
func (r *Replica) formatLacks(write *command.Write) *kverr.Error {
	ready, needed := r.leadership.isReady(), fsmcommand.FormatOf(write)
	switch used := r.fsm.Format(); {
	case needed <= used:
		return nil
	case r.raft.State() != raft.Leader:
		return notLeader(r.hint())
	case !ready || r.fresh.Load() > 0:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE,
			"whether the shard uses command format %d is not known yet", needed)
	default:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNSUPPORTED,
			"the shard uses command format %d, and the operation came with %d: when all nodes are of a version that knows it, "+
				"'kvorum restart --rolling' raises the format", used, needed)
	}
}

func (r *Replica) formatMax() uint32 {
	if r.options.FormatMax == 0 {
		return fsmcommand.Format
	}
	return r.options.FormatMax
}

func tooNew(id raft.ServerID, known, format uint32) *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
		"node %s knows command formats up to %d, not %d: upgrade it first", id, known, format)
}

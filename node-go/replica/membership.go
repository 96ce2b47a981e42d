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

// One change of members at a time, each an entry of the log (Raft thesis, section 4.1). A majority of the configuration before
// and one of the configuration after share a node, so that no two leaders of a term can be elected across a change. hashicorp/raft
// begins one only when the one before is committed, and an entry of the leader's own term as well (the flaw of the
// thesis' first text).
//
// What Raft leaves to its user is here: whether a change may be made, and an answer that is true.

// membership is the moment of a change: this node leads in the term, and the configuration is committed.
type membership struct {
	term     uint64
	now      configuration
	deadline time.Time
	// made is called when the change is committed, and nobody waits for it; nil: nothing is to be done.
	made func(index uint64)
	// settling closes when Raft has answered; nil when it was not asked.
	settling <-chan struct{}
}

// AddNonVoter makes a node a member without a vote, and notes where it listens. A node that does not know the shard's format is
// refused. It gives the index of the configuration, as
// the other changes do. One that is done already succeeds; ifConfiguration, unless 0, is the one that it must follow.
func (r *Replica) AddNonVoter(ctx context.Context, id, address string, ifConfiguration uint64, deadline time.Time) (uint64, *kverr.Error) {
	return r.change(ctx, ifConfiguration, deadline, func(ctx context.Context, m *membership) (uint64, *kverr.Error) {
		r.options.Book.Set(id, address)
		if m.now.has(raft.ServerID(id)) {
			return m.now.index, nil
		}
		// The first format is everybody's.
		if format := max(r.fsm.Format(), r.raising.Load()); format > 1 {
			if err := r.knows(ctx, format, raft.ServerID(id)); err != nil {
				return 0, err
			}
		}
		return r.settle(ctx, m, func(limit time.Duration) raft.IndexFuture {
			return r.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(id), m.now.index, limit)
		})
	})
}

// Promote gives a member its vote, if it has caught up.
func (r *Replica) Promote(ctx context.Context, id string, ifConfiguration uint64, deadline time.Time) (uint64, *kverr.Error) {
	return r.change(ctx, ifConfiguration, deadline, func(ctx context.Context, m *membership) (uint64, *kverr.Error) {
		member := raft.ServerID(id)
		if !m.now.has(member) {
			return 0, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, "node %s is no member: add it first", id)
		}
		if isVoter(m.now.servers, member) {
			return m.now.index, nil
		}
		if err := r.caughtUp(ctx, m, member); err != nil {
			return 0, err
		}
		return r.settle(ctx, m, func(limit time.Duration) raft.IndexFuture {
			return r.raft.AddVoter(member, raft.ServerAddress(id), m.now.index, limit)
		})
	})
}

// RemoveMember removes a member. A leader that is to remove itself hands over: the next one removes it.
func (r *Replica) RemoveMember(ctx context.Context, id string, ifConfiguration uint64, deadline time.Time) (uint64, *kverr.Error) {
	return r.change(ctx, ifConfiguration, deadline, func(ctx context.Context, m *membership) (uint64, *kverr.Error) {
		member := raft.ServerID(id)
		if !m.now.has(member) {
			return m.now.index, nil
		}
		if isVoter(m.now.servers, member) {
			if err := r.canDoWithout(ctx, m, member); err != nil {
				return 0, err
			}
		}
		if member == r.id {
			return 0, r.giveWay(ctx)
		}
		m.made = func(index uint64) { r.tellRemoved(m.term, member, index) }
		return r.settle(ctx, m, func(limit time.Duration) raft.IndexFuture {
			return r.raft.RemoveServer(member, m.now.index, limit)
		})
	})
}

// change makes one change after the other. `decide` is called when this node has proven that it leads, with the committed
// configuration; nothing but what it does can change that while this node leads.
func (r *Replica) change(ctx context.Context, ifConfiguration uint64, deadline time.Time,
	decide func(context.Context, *membership) (uint64, *kverr.Error)) (uint64, *kverr.Error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := r.options.Clock.AfterFunc(deadline.Sub(r.options.Clock.Now()), cancel)
	defer timer.Stop()
	select {
	case r.changing <- struct{}{}:
	case <-ctx.Done():
		return 0, notChanged(ctx.Err())
	}
	m := &membership{deadline: deadline}
	defer r.endChange(m)
	if err := r.settled(ctx, m); err != nil {
		return 0, err
	}
	if ifConfiguration != 0 && ifConfiguration != m.now.index {
		return 0, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
			"the configuration is %d, and the order is for %d: it was overtaken", m.now.index, ifConfiguration)
	}
	return decide(ctx, m)
}

// endChange lets the next one begin: also after a caller has left, not before Raft has answered.
func (r *Replica) endChange(m *membership) {
	if m.settling == nil {
		<-r.changing
		return
	}
	go func() {
		<-m.settling
		<-r.changing
	}()
}

// settled waits until the newest configuration is committed. That it is looked at after this node has proven its leadership
// makes "done already" true: a deposed leader may hold a change that its successor undoes.
func (r *Replica) settled(ctx context.Context, m *membership) *kverr.Error {
	m.term = r.raft.CurrentTerm()
	if err := r.Confirm(ctx, m.deadline); err != nil {
		return err
	}
	for {
		m.now = r.configurations.newest()
		if m.now.index <= r.fsm.Applied() {
			break
		}
		if err := r.fsm.WaitApplied(ctx, m.now.index); err != nil {
			return notChanged(err)
		}
	}
	if !r.leadsIn(m.term) {
		return notLeader(r.hint())
	}
	return nil
}

func (r *Replica) leadsIn(term uint64) bool {
	return r.raft.State() == raft.Leader && r.raft.CurrentTerm() == term
}

// caughtUp is the last round of the thesis, section 4.2.1: what the log holds now, the member has stored within an election
// time-out. So a shard that counts on its vote from then on waits no longer for it than for an election, however busy it
// is. A bound in entries would say nothing of time: entries have between a few bytes and megabytes. The member must
// also answer now: one that had everything and has died since would be a vote that is missing.
func (r *Replica) caughtUp(ctx context.Context, m *membership, member raft.ServerID) *kverr.Error {
	since, round := r.options.Clock.Now(), r.raft.LastIndex()
	answers := func() bool {
		return r.transport.AckedSince(m.term, since, []raft.ServerID{r.id, member}, r.id)
	}
	if r.awaitAcks(ctx, func() bool { return answers() && r.transport.Stored(m.term, member) >= round }) {
		return nil
	}
	switch {
	case !r.leadsIn(m.term):
		return notLeader(r.hint())
	case !answers():
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE,
			"node %s does not answer; it is %d entries behind", member, r.behind(m.term, member))
	default:
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE,
			"node %s has not caught up: it is %d entries behind", member, r.behind(m.term, member))
	}
}

// canDoWithout says whether the voters that are left would go on: a majority of them answers now, and stores what the log holds
// within an election time-out. Without that the shard would stop with this very change, whose own entry they have to store:
// for as long as one of them needs that lacks much, or for ever if its disk is stuck, which heartbeats do not show.
func (r *Replica) canDoWithout(ctx context.Context, m *membership, member raft.ServerID) *kverr.Error {
	left := m.now.votersWithout(member)
	if len(left) == 0 {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, "node %s is the only voter", member)
	}
	since, round := r.options.Clock.Now(), r.raft.LastIndex()
	goOn := func() bool {
		count := 0
		for _, voter := range left {
			answers := r.transport.AckedSince(m.term, since, []raft.ServerID{r.id, voter}, r.id)
			if voter == r.id || answers && r.transport.Stored(m.term, voter) >= round {
				count++
			}
		}
		return count > len(left)/2
	}
	if r.awaitAcks(ctx, goOn) {
		return nil
	}
	if !r.leadsIn(m.term) {
		return notLeader(r.hint())
	}
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED,
		"without node %s no majority of the voters that are left answers and keeps up: the shard would stop", member)
}

// awaitAcks waits for an election time-out at most. Heartbeats are sent at least every tenth of it.
func (r *Replica) awaitAcks(ctx context.Context, enough func() bool) bool {
	timer := r.options.Clock.NewTimer(r.options.Timing.Heartbeat)
	defer timer.Stop()
	for {
		acks := r.transport.Acks()
		if enough() {
			return true
		}
		select {
		case <-acks:
		case <-timer.C():
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// giveWay hands leadership over, so that the next leader can remove this node. A leader that removes itself would lead a
// shard that it is no part of until its entry is committed, and leave it without a leader then.
func (r *Replica) giveWay(ctx context.Context) *kverr.Error {
	if err := r.TransferLeadership(ctx, ""); err != nil {
		return err
	}
	if r.raft.State() == raft.Leader {
		return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "this node leads, and nobody could take leadership over")
	}
	r.awaitLeader(ctx, knowLimit)
	return notLeader(r.hint())
}

// settle proposes a change and waits for its commit. Raft is told the configuration that everything here was judged by, and
// refuses for any other one.
func (r *Replica) settle(ctx context.Context, m *membership, propose func(limit time.Duration) raft.IndexFuture) (uint64, *kverr.Error) {
	limit := m.deadline.Sub(r.options.Clock.Now())
	if limit <= 0 || ctx.Err() != nil {
		return 0, notChanged(ctx.Err())
	}
	type outcome struct {
		index uint64
		err   error
	}
	done, settling := make(chan outcome, 1), make(chan struct{})
	m.settling = settling
	// It ends with its future: Raft takes or refuses it within limit, and answers it when it is committed, when leadership
	// ends, or when it is shut down; and then with one message, which the transport bounds and ends when it is closed.
	go func() {
		future := propose(limit)
		err := future.Error()
		if err != nil {
			done <- outcome{err: err}
		} else {
			done <- outcome{index: future.Index()}
		}
		close(settling)
		if err == nil && m.made != nil {
			m.made(future.Index())
		}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return 0, r.changeError(o.err)
		}
		return o.index, nil
	case <-ctx.Done():
		return 0, kverr.Unknown(pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED, "the change of members is not committed yet: ask again")
	}
}

// changeError is entryError for a change. An error that Raft gives no type, such as that of a configuration that was
// overtaken, is UNKNOWN like all others: asking again tells.
func (r *Replica) changeError(err error) *kverr.Error {
	known := []error{raft.ErrNotLeader, raft.ErrLeadershipTransferInProgress, raft.ErrEnqueueTimeout}
	if slices.ContainsFunc(known, func(one error) bool { return errors.Is(err, one) }) {
		return entryError(err, r.hint())
	}
	return kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "the change of members may or may not be made: %w", err)
}

func notChanged(err error) *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED, "the change of members was not begun in time: %w", err)
}

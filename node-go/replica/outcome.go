package replica

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"

	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// The back-off advised when a bounded queue is full: about the time in which a busy node settles what it holds.
const overloadedRetryMs = 10

// More than this is no news of now.
const overloadedRetryMsMax = 1000

// The back-off advised while a shard has no leader: an election among live nodes takes a few milliseconds.
const noLeaderRetryMs = 5

// entryError says what a failed Apply future means for the operations of its entry.
//
// Only three errors prove that an entry was never appended: ErrNotLeader (answered by the follower's loop, or by a
// leader that is stepping down, before dispatch), ErrLeadershipTransferInProgress (likewise) and ErrEnqueueTimeout.
// After dispatch an entry may be on other disks and may yet be committed by the next leader: everything else is UNKNOWN.
func entryError(err error, leader *pb.LeaderHint) *kverr.Error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return notLeader(leader)
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		// The hint would name this node, which is about to stop leading.
		return notLeader(nil)
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return Overloaded("the Raft queue is full", 0)
	default:
		return kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "the write may or may not be applied: %w", err)
	}
}

// notLeader is the answer of a node that does not lead; leader is nil when unknown.
func notLeader(leader *pb.LeaderHint) *kverr.Error {
	e := kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "this node does not lead the shard")
	e.Leader = leader
	if leader == nil {
		e.RetryAfterMs = noLeaderRetryMs
	}
	return e
}

// Overloaded is the answer when something bounded is full, and expected to stay so for `rest`.
func Overloaded(what string, rest time.Duration) *kverr.Error {
	e := kverr.NotApplied(pb.ErrorCode_ERROR_CODE_OVERLOADED, "%s", what)
	e.RetryAfterMs = uint32(min(max(rest.Milliseconds(), overloadedRetryMs), overloadedRetryMsMax))
	return e
}

func stopping() *kverr.Error {
	e := kverr.NotApplied(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "the node is stopping")
	e.RetryAfterMs = noLeaderRetryMs
	return e
}

func deadlineQueued() *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED, "the deadline passed before the write was proposed")
}

func deadlineProposed() *kverr.Error {
	return kverr.Unknown(pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED, "the deadline passed while the write was being committed")
}

func deadlineRead() *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED, "the deadline passed while leadership was being confirmed")
}

func cancelledQueued() *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_CANCELLED, "the caller gave up before the write was proposed")
}

func cancelledProposed() *kverr.Error {
	return kverr.Unknown(pb.ErrorCode_ERROR_CODE_CANCELLED, "the caller gave up while the write was being committed")
}

func cancelledRead() *kverr.Error {
	return kverr.NotApplied(pb.ErrorCode_ERROR_CODE_CANCELLED, "the caller gave up")
}

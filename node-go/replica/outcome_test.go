package replica

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/raft"

	pb "kvorum/node/gen/errors"
)

// Every error that Raft v1.7.3 can answer an Apply with, and what is known of the writes then.
func TestOutcomeOfEveryRaftError(t *testing.T) {
	hint := &pb.LeaderHint{NodeId: "n"}
	for _, c := range []struct {
		err     error
		code    pb.ErrorCode
		outcome pb.Outcome
		hinted  bool
	}{
		{raft.ErrNotLeader, pb.ErrorCode_ERROR_CODE_NOT_LEADER, notApplied, true},
		{raft.ErrLeadershipTransferInProgress, pb.ErrorCode_ERROR_CODE_NOT_LEADER, notApplied, false},
		{raft.ErrEnqueueTimeout, pb.ErrorCode_ERROR_CODE_OVERLOADED, notApplied, false},
		{raft.ErrLeadershipLost, pb.ErrorCode_ERROR_CODE_UNAVAILABLE, unknown, false},
		{raft.ErrRaftShutdown, pb.ErrorCode_ERROR_CODE_UNAVAILABLE, unknown, false},
		{raft.ErrAbortedByRestore, pb.ErrorCode_ERROR_CODE_UNAVAILABLE, unknown, false},
		{raft.ErrLeader, pb.ErrorCode_ERROR_CODE_UNAVAILABLE, unknown, false},
		{raft.ErrNotVoter, pb.ErrorCode_ERROR_CODE_UNAVAILABLE, unknown, false},
		{raft.ErrUnsupportedProtocol, pb.ErrorCode_ERROR_CODE_UNAVAILABLE, unknown, false},
		{errors.New("the log store failed"), pb.ErrorCode_ERROR_CODE_UNAVAILABLE, unknown, false},
		{fmt.Errorf("wrapped: %w", raft.ErrNotLeader), pb.ErrorCode_ERROR_CODE_NOT_LEADER, notApplied, true},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			got := entryError(c.err, hint)
			if got.Code != c.code || got.Outcome != c.outcome || (got.Leader != nil) != c.hinted {
				t.Fatalf("got %+v", got)
			}
		})
	}
}

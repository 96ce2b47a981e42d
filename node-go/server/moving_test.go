package server

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

// steps are what a fake replica was proposed, and its answer.
type steps struct {
	Replica
	proposed *command.Command
	refused  *kverr.Error
	holdings *[fsmcommand.Partitions]fsm.Holding
}

func (s *steps) Propose(_ context.Context, c *command.Command, _ time.Time) fsm.Result {
	s.proposed = c
	return fsm.Result{Err: s.refused}
}

func (s *steps) Partitions() *[fsmcommand.Partitions]fsm.Holding { return s.holdings }

func TestMoveProposesAStep(t *testing.T) {
	b, s := start(t, nil), &steps{}
	b.node.Replica = s
	request := &nodev1.MoveRequest{
		Step: nodev1.MoveStep_MOVE_STEP_FREEZE, Epoch: 7, FreezeMs: 5, Partitions: []*nodev1.PartitionRange{{First: 1, Last: 2}},
	}
	if _, err := b.admin.Move(b.ctx, request); err != nil {
		t.Fatal(err)
	}
	m := s.proposed.GetMove()
	if m.GetStep() != command.MovePartitions_STEP_FREEZE || m.GetEpoch() != 7 || m.GetFreezeMs() != 5 || m.GetPartitions()[0].GetLast() != 2 {
		t.Fatalf("proposed %v", m)
	}
	s.refused = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED, "no")
	if _, err := b.admin.Move(b.ctx, request); status.Code(err) != codes.FailedPrecondition {
		t.Fatal(err)
	}
	for _, step := range []nodev1.MoveStep{0, 7} {
		if _, err := b.admin.Move(b.ctx, &nodev1.MoveRequest{Step: step}); status.Code(err) != codes.InvalidArgument {
			t.Fatalf("step %d: %v", step, err)
		}
	}
}

// The two lists of steps have the same numbers and names: one is turned into the other by its number.
func TestStepsAreTheSameOnTheWireAndInTheLog(t *testing.T) {
	if len(nodev1.MoveStep_name) != len(command.MovePartitions_Step_name) {
		t.Fatal("one list is longer")
	}
	for number, name := range command.MovePartitions_Step_name {
		if nodev1.MoveStep_name[number] != "MOVE_"+name {
			t.Errorf("step %d is %s and %s", number, name, nodev1.MoveStep_name[number])
		}
	}
}

func TestPartitionsAreReportedInRanges(t *testing.T) {
	b, s := start(t, nil), &steps{holdings: new([fsmcommand.Partitions]fsm.Holding)}
	b.node.Replica = s
	if _, err := b.admin.Partitions(b.ctx, &nodev1.PartitionsRequest{}); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		s.holdings[i] = fsm.Holding{State: fsm.Owned, Epoch: 1}
	}
	s.holdings[4] = fsm.Holding{State: fsm.Frozen, Epoch: 3}
	s.holdings[20] = fsm.Holding{State: fsm.None, Epoch: 2}
	got, err := b.admin.Partitions(b.ctx, &nodev1.PartitionsRequest{})
	if err != nil || len(got.Partitions) != 4 {
		t.Fatalf("%v %v", got, err)
	}
	if p := got.Partitions[2]; p.First != 5 || p.Last != 9 || p.State != nodev1.PartitionState_PARTITION_STATE_OWNED || p.Epoch != 1 {
		t.Fatalf("%v", p)
	}
	b.node.confirm = kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "no")
	if _, err := b.admin.Partitions(b.ctx, &nodev1.PartitionsRequest{}); status.Code(err) != codes.Unavailable {
		t.Fatalf("not confirmed: %v", err)
	}
	b.node.confirm, s.holdings = nil, nil
	if _, err := b.admin.Partitions(b.ctx, &nodev1.PartitionsRequest{}); status.Code(err) != codes.Unavailable {
		t.Fatalf("during a restore: %v", err)
	}
}

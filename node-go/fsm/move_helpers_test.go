package fsm

import (
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

const (
	stepImport   = pb.MovePartitions_STEP_IMPORT
	stepFreeze   = pb.MovePartitions_STEP_FREEZE
	stepThaw     = pb.MovePartitions_STEP_THAW
	stepRelease  = pb.MovePartitions_STEP_RELEASE
	stepActivate = pb.MovePartitions_STEP_ACTIVATE
	stepDiscard  = pb.MovePartitions_STEP_DISCARD

	// freezeMs is how long a freeze of these tests holds.
	freezeMs = 1_000
)

func all() *pb.PartitionRange { return span(0, command.Partitions-1) }

func move(step pb.MovePartitions_Step, epoch uint64, ranges ...*pb.PartitionRange) *pb.Command {
	m := &pb.MovePartitions{Step: step, Epoch: epoch, Partitions: ranges}
	if step == stepFreeze {
		m.FreezeMs = freezeMs
	}
	return &pb.Command{Kind: &pb.Command_Move{Move: m}}
}

func records(epoch uint64, list ...*pb.ImportedRecord) *pb.Command {
	return &pb.Command{Kind: &pb.Command_Import{Import: &pb.ImportRecords{Epoch: epoch, Records: list}}}
}

func record(key, value string, version uint64) *pb.ImportedRecord {
	return &pb.ImportedRecord{Key: []byte(key), Value: []byte(value), Version: version}
}

// complete says of partitions that all of them has come, with one floor for each.
func complete(epoch, floor uint64, ranges ...*pb.PartitionRange) *pb.Command {
	c := &pb.ImportRecords{Epoch: epoch}
	for _, r := range ranges {
		for number := r.First; number <= r.Last; number++ {
			c.Complete = append(c.Complete, &pb.ImportedPartition{Partition: number, Floor: floor})
		}
	}
	return &pb.Command{Kind: &pb.Command_Import{Import: c}}
}

func sweep(keys ...string) *pb.Command {
	s := &pb.SweepRecords{}
	for _, key := range keys {
		s.Keys = append(s.Keys, []byte(key))
	}
	return &pb.Command{Kind: &pb.Command_Sweep{Sweep: s}}
}

func swept(epoch uint64, r *pb.PartitionRange) *pb.Command {
	s := &pb.SweepRecords{Swept: []*pb.SweptPartitions{{First: r.First, Last: r.Last, Epoch: epoch}}}
	return &pb.Command{Kind: &pb.Command_Sweep{Sweep: s}}
}

func applyNext(t fataler, f *FSM, c *pb.Command) *Applied {
	t.Helper()
	return apply(t, f, f.state.applied+1, c)
}

func mustApply(t fataler, f *FSM, list ...*pb.Command) {
	t.Helper()
	for _, c := range list {
		if a := applyNext(t, f, c); a.Err != nil {
			t.Fatalf("%v: %v", c, a.Err)
		}
	}
}

// release gives partitions away.
func release(t fataler, f *FSM, epoch uint64, r *pb.PartitionRange) {
	t.Helper()
	mustApply(t, f, move(stepFreeze, epoch, r), move(stepRelease, epoch, r))
}

// regain sweeps partitions that were given away in the epoch before, and takes them back with some records.
func regain(t fataler, f *FSM, epoch uint64, r *pb.PartitionRange, list ...*pb.ImportedRecord) {
	t.Helper()
	mustApply(t, f, swept(epoch-1, r), move(stepImport, epoch, r), records(epoch, list...), complete(epoch, 0, r),
		move(stepActivate, epoch, r))
}

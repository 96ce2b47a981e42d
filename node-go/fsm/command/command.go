// Package command turns commands into the bytes of a Raft log entry and back, and says which partition a key is in.
//
// An entry is read by every replica, perhaps years later and by another version of the program. So Decode accepts exactly
// what this version understands in full: a field or a kind that it does not know could change the outcome elsewhere, and
// a replica that skipped it would differ from the others for good.
package command

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Format is the newest format of commands, and so far the only one. It grows with every change of what a command means.
const Format = 1

// SessionIDBytes is the length of a session's id.
const SessionIDBytes = 16

// Encode sets the command's format and returns the bytes of its log entry. It refuses what Decode would refuse.
func Encode(c *pb.Command) ([]byte, error) {
	c.Format = Format
	if reason := unsupported(c); reason != "" {
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "cannot encode a command: %s", reason)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INTERNAL, "encode a command: %w", err)
	}
	return data, nil
}

// Decode reads an entry. Every failure is UNSUPPORTED: the entry is committed, so that other replicas may know what it
// means, and a replica that does not must stop before it. The command does not refer to data.
func Decode(data []byte) (*pb.Command, error) {
	c := new(pb.Command)
	if err := proto.Unmarshal(data, c); err != nil {
		return nil, kverr.Unknown(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED, "undecodable command: %w", err)
	}
	if c.GetFormat() != Format {
		return nil, kverr.Unknown(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED,
			"command format %d is unknown here (the newest known is %d): upgrade this node", c.GetFormat(), Format)
	}
	if reason := unsupported(c); reason != "" {
		return nil, kverr.Unknown(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED, "%s: upgrade this node", reason)
	}
	return c, nil
}

// unsupported says what in a command of the known format is not known here, or "".
func unsupported(c *pb.Command) string {
	if alien(c) {
		return "command with unknown fields"
	}
	switch kind := c.GetKind().(type) {
	case *pb.Command_Write:
		return unsupportedWrites(kind.Write)
	case *pb.Command_Assign:
		return unsupportedAssign(kind.Assign)
	case *pb.Command_Move:
		return unsupportedMove(kind.Move)
	case *pb.Command_Import:
		return unsupportedImport(kind.Import)
	case *pb.Command_Sweep:
		return unsupportedSweep(kind.Sweep)
	default:
		return "command of an unknown kind"
	}
}

func unsupportedWrites(batch *pb.WriteBatch) string {
	if alien(batch) {
		return "write batch with unknown fields"
	}
	for _, session := range batch.GetSessions() {
		if alien(session) || len(session.GetId()) != SessionIDBytes {
			return "session that is none"
		}
	}
	for _, write := range batch.GetWrites() {
		if reason := unsupportedWrite(write, len(batch.GetSessions())); reason != "" {
			return reason
		}
	}
	return ""
}

func unsupportedWrite(write *pb.Write, sessions int) string {
	if alien(write) {
		return "write with unknown fields"
	}
	if number := write.GetSession(); number > uint32(sessions) || (number > 0) != (write.GetSequence() > 0) {
		return "write of a session that is not there"
	}
	switch kind := write.GetKind().(type) {
	case *pb.Write_Put:
		return unlessAlien(kind.Put, "put with unknown fields")
	case *pb.Write_Delete:
		return unlessAlien(kind.Delete, "delete with unknown fields")
	case *pb.Write_Append:
		return unlessAlien(kind.Append, "append with unknown fields")
	case *pb.Write_Open:
		if write.GetSession() > 0 {
			return "session opened in a session"
		}
		return unlessAlien(kind.Open, "opening of a session with unknown fields")
	default:
		return "write of an unknown kind"
	}
}

func unlessAlien(m message, reason string) string {
	if alien(m) {
		return reason
	}
	return ""
}

func unsupportedAssign(assign *pb.AssignPartitions) string {
	if alien(assign) {
		return "assignment with unknown fields"
	}
	return unlessAnyAlien(assign.GetOwned(), "partition range with unknown fields")
}

func unsupportedMove(move *pb.MovePartitions) string {
	if alien(move) {
		return "move with unknown fields"
	}
	if _, known := pb.MovePartitions_Step_name[int32(move.GetStep())]; !known || move.GetStep() == pb.MovePartitions_STEP_UNSPECIFIED {
		return "unknown step of a move"
	}
	return unlessAnyAlien(move.GetPartitions(), "partition range with unknown fields")
}

func unsupportedImport(records *pb.ImportRecords) string {
	if alien(records) {
		return "import with unknown fields"
	}
	if reason := unlessAnyAlien(records.GetRecords(), "imported record with unknown fields"); reason != "" {
		return reason
	}
	return unlessAnyAlien(records.GetComplete(), "imported partition with unknown fields")
}

func unsupportedSweep(sweep *pb.SweepRecords) string {
	if alien(sweep) {
		return "sweep with unknown fields"
	}
	return unlessAnyAlien(sweep.GetSwept(), "swept partitions with unknown fields")
}

type message interface{ ProtoReflect() protoreflect.Message }

func unlessAnyAlien[M message](list []M, reason string) string {
	for _, m := range list {
		if alien(m) {
			return reason
		}
	}
	return ""
}

func alien(m message) bool {
	return len(m.ProtoReflect().GetUnknown()) > 0
}

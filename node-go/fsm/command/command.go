// Package command turns commands into the bytes of a Raft log entry and back, and says which partition a key is in.
//
// An entry is read by every replica, perhaps years later and by another version of the program. So Decode accepts exactly
// what this version understands in full: a field or a kind that it does not know could change the outcome elsewhere, and
// a replica that skipped it would differ from the others for good.
package command

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "kvorum/node/gen/command"
	errpb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// Format is the newest format of commands that is known here. It grows with every change of what a command means, and a node
// understands all formats from 1 on. Which one a shard uses is in its state machine: 1 until a RaiseFormat was applied. So
// nodes of the version before understand all of a log for as long as nobody has raised it.
//
//	1  the first one
//	2  RaiseFormat
//	3  CompareAndSet, Increment, return_previous, Transaction, times to live, leases
const Format = 3

// FormatOf is the oldest format that has the write.
func FormatOf(write *pb.Write) uint32 {
	switch kind := write.GetKind().(type) {
	case *pb.Write_CompareAndSet, *pb.Write_Increment, *pb.Write_Transaction, *pb.Write_Touch,
		*pb.Write_GrantLease, *pb.Write_KeepAlive, *pb.Write_RevokeLease:
		return 3
	case *pb.Write_Put:
		if kind.Put.GetReturnPrevious() || kind.Put.GetTtlMs() > 0 || len(kind.Put.GetLease()) > 0 {
			return 3
		}
	case *pb.Write_Delete:
		if kind.Delete.GetReturnPrevious() {
			return 3
		}
	}
	return 1
}

// SessionIDBytes is the length of a session's id.
const SessionIDBytes = 16

const (
	// LeaseIDBytes is the length of a lease's id.
	LeaseIDBytes = 16
	// PartitionSetBytes is the length of a set of partitions: a bit for each.
	PartitionSetBytes = Partitions / 8
)

// Encode sets the command's format, which is what the shard uses, and returns the bytes of its log entry. A RaiseFormat is of
// the format that it raises to. It refuses what Decode would refuse.
func Encode(c *pb.Command, format uint32) ([]byte, error) {
	c.Format = format
	if raise := c.GetRaise(); raise != nil {
		c.Format = raise.GetFormat()
	}
	if reason := unknownFormat(c.GetFormat(), Format); reason != "" {
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED, "cannot encode a command: %s", reason)
	}
	if holdsMortals(c.GetImport()) && c.GetFormat() < FormatOfTTL {
		// The one that somebody has asked for and that does not end by itself: a move is tried again.
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED,
			"the shard uses command format %d, and cannot take leases and keys with times to live, which came with %d: cancel the operation, and "+
				"'kvorum restart --rolling' raises the format when all nodes are of a version that knows it", c.GetFormat(), FormatOfTTL)
	}
	if reason := unsupportedKind(c); reason != "" {
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "cannot encode a command: %s", reason)
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(c)
	if err != nil {
		return nil, kverr.NotApplied(errpb.ErrorCode_ERROR_CODE_INTERNAL, "encode a command: %w", err)
	}
	return data, nil
}

// Decode reads an entry of a format up to `newest`, which is Format but for a node that is to know less. Every failure is UNSUPPORTED: the entry is committed, so that other replicas may know what it
// means, and a replica that does not must stop before it. The command does not refer to data.
func Decode(data []byte, newest uint32) (*pb.Command, error) {
	return new(Decoder).Decode(data, newest)
}

// Decode is the function of that name in the memory of the command before, whose messages are of no use any more. Its keys and values stay as they are.
func (d *Decoder) Decode(data []byte, newest uint32) (*pb.Command, error) {
	c, unsupported := d.plain(data), unsupportedPlain
	if c == nil {
		c, unsupported = new(pb.Command), unsupportedKind
		if err := proto.Unmarshal(data, c); err != nil {
			return nil, kverr.Unknown(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED, "undecodable command: %w", err)
		}
	}
	if reason := unknownFormat(c.GetFormat(), newest); reason != "" {
		return nil, kverr.Unknown(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED, "%s: upgrade this node", reason)
	}
	if reason := unsupported(c); reason != "" {
		return nil, kverr.Unknown(errpb.ErrorCode_ERROR_CODE_UNSUPPORTED, "%s: upgrade this node", reason)
	}
	return c, nil
}

func unknownFormat(format, newest uint32) string {
	if format < 1 || format > newest {
		return fmt.Sprintf("command format %d is unknown here (the newest known is %d)", format, newest)
	}
	return ""
}

// unsupportedKind says what in a command of a known format is not known here, or "".
func unsupportedKind(c *pb.Command) string {
	if alien(c) {
		return "command with unknown fields"
	}
	switch kind := c.GetKind().(type) {
	case *pb.Command_Write:
		return unsupportedWrites(kind.Write, c.GetFormat())
	case *pb.Command_Assign:
		return unsupportedAssign(kind.Assign)
	case *pb.Command_Move:
		return unsupportedMove(kind.Move)
	case *pb.Command_Import:
		return unsupportedImport(kind.Import, c.GetFormat())
	case *pb.Command_Sweep:
		return unsupportedSweep(kind.Sweep)
	case *pb.Command_Raise:
		return unsupportedRaise(c.GetFormat(), kind.Raise)
	case *pb.Command_Expire:
		return unsupportedExpire(kind.Expire, c.GetFormat())
	default:
		return "command of an unknown kind"
	}
}

func unsupportedWrites(batch *pb.WriteBatch, format uint32) string {
	if alien(batch) {
		return "write batch with unknown fields"
	}
	for _, session := range batch.GetSessions() {
		if alien(session) || len(session.GetId()) != SessionIDBytes {
			return "session that is none"
		}
	}
	for _, write := range batch.GetWrites() {
		if reason := unknownWrite(write); reason != "" {
			return reason
		}
	}
	return misplacedWrites(batch, format)
}

// unknownWrite says what is not known of a write by itself.
func unknownWrite(write *pb.Write) string {
	if alien(write) {
		return "write with unknown fields"
	}
	switch kind := write.GetKind().(type) {
	case *pb.Write_Put:
		return unlessAlien(kind.Put, "put with unknown fields")
	case *pb.Write_Delete:
		return unlessAlien(kind.Delete, "delete with unknown fields")
	case *pb.Write_Append:
		return unlessAlien(kind.Append, "append with unknown fields")
	case *pb.Write_CompareAndSet:
		return unlessAlien(kind.CompareAndSet, "compare-and-set with unknown fields")
	case *pb.Write_Increment:
		return unlessAlien(kind.Increment, "increment with unknown fields")
	case *pb.Write_Transaction:
		return unsupportedTransaction(kind.Transaction)
	case *pb.Write_Touch:
		return unlessAlien(kind.Touch, "touch with unknown fields")
	case *pb.Write_GrantLease:
		return unlessAlien(kind.GrantLease, "grant of a lease with unknown fields")
	case *pb.Write_KeepAlive:
		return unlessAlien(kind.KeepAlive, "keep-alive with unknown fields")
	case *pb.Write_RevokeLease:
		return unlessAlien(kind.RevokeLease, "revocation of a lease with unknown fields")
	case *pb.Write_Open:
		return unlessAlien(kind.Open, "opening of a session with unknown fields")
	default:
		return "write of an unknown kind"
	}
}

// misplacedWrites says which write, known by itself, has no place in such a batch of such a format.
func misplacedWrites(batch *pb.WriteBatch, format uint32) string {
	sessions := uint32(len(batch.GetSessions()))
	for _, write := range batch.GetWrites() {
		number := write.GetSession()
		if number > sessions || (number > 0) != (write.GetSequence() > 0) {
			return "write of a session that is not there"
		}
		switch kind := write.GetKind().(type) {
		case *pb.Write_Put:
			if reason := unsupportedLease(kind.Put); reason != "" {
				return reason
			}
		case *pb.Write_Open:
			if number > 0 {
				return "session opened in a session"
			}
		}
		if needed := FormatOf(write); needed > format {
			return fmt.Sprintf("write of format %d in a command of format %d", needed, format)
		}
	}
	return ""
}

func unsupportedLease(put *pb.Put) string {
	if n := len(put.GetLease()); n > 0 && n != LeaseIDBytes {
		return "put into a lease that is none"
	}
	return ""
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

func unsupportedImport(records *pb.ImportRecords, format uint32) string {
	if alien(records) {
		return "import with unknown fields"
	}
	if reason := unlessAnyAlien(records.GetRecords(), "imported record with unknown fields"); reason != "" {
		return reason
	}
	if reason := unlessAnyAlien(records.GetLeases(), "imported lease with unknown fields"); reason != "" {
		return reason
	}
	if holdsMortals(records) && format < FormatOfTTL {
		return fmt.Sprintf("import of a time to live or a lease, of format %d, in a command of format %d", FormatOfTTL, format)
	}
	return unlessAnyAlien(records.GetComplete(), "imported partition with unknown fields")
}

// holdsMortals says whether there are leases, or records that end by themselves.
func holdsMortals(records *pb.ImportRecords) bool {
	return len(records.GetLeases()) > 0 || slices.ContainsFunc(records.GetRecords(), func(r *pb.ImportedRecord) bool {
		return r.GetTtlMs() > 0 || len(r.GetLease()) > 0
	})
}

func unsupportedSweep(sweep *pb.SweepRecords) string {
	if alien(sweep) {
		return "sweep with unknown fields"
	}
	return unlessAnyAlien(sweep.GetSwept(), "swept partitions with unknown fields")
}

// FormatOfTTL is the oldest format that has times to live and leases.
const FormatOfTTL = 3

func unsupportedExpire(expire *pb.Expire, format uint32) string {
	if format < FormatOfTTL {
		return fmt.Sprintf("expiry of format %d in a command of format %d", FormatOfTTL, format)
	}
	return unlessAlien(expire, "expiry with unknown fields")
}

// unsupportedRaise: in format 1 there is no such command.
func unsupportedRaise(format uint32, raise *pb.RaiseFormat) string {
	if format < 2 || raise.GetFormat() != format {
		return "raise of the format that is not of the format that it raises to"
	}
	return unlessAlien(raise, "raise of the format with unknown fields")
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

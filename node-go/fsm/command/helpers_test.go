package command

import (
	"google.golang.org/protobuf/proto"

	pb "kvorum/node/gen/command"
)

func put(key, value string, ifVersion *uint64) *pb.Write {
	return &pb.Write{Kind: &pb.Write_Put{Put: &pb.Put{Key: []byte(key), Value: []byte(value), IfVersion: ifVersion}}}
}

func remove(key string, ifVersion *uint64) *pb.Write {
	return &pb.Write{Kind: &pb.Write_Delete{Delete: &pb.Delete{Key: []byte(key), IfVersion: ifVersion}}}
}

func writes(list ...*pb.Write) *pb.Command {
	return &pb.Command{StampMs: 1700000000123, Kind: &pb.Command_Write{Write: &pb.WriteBatch{Writes: list}}}
}

func assign(epoch uint64, ranges ...*pb.PartitionRange) *pb.Command {
	return &pb.Command{StampMs: 5, Kind: &pb.Command_Assign{Assign: &pb.AssignPartitions{Epoch: epoch, Owned: ranges}}}
}

func freeze() *pb.Command {
	return &pb.Command{StampMs: 5, Kind: &pb.Command_Move{Move: &pb.MovePartitions{
		Step: pb.MovePartitions_STEP_FREEZE, Epoch: 300, FreezeMs: 3000, Partitions: []*pb.PartitionRange{{First: 1, Last: 9}},
	}}}
}

func imported() *pb.Command {
	return &pb.Command{StampMs: 5, Kind: &pb.Command_Import{Import: &pb.ImportRecords{
		Epoch: 300, Records: []*pb.ImportedRecord{{Key: []byte("k"), Value: []byte("v"), Version: 7}}, Removed: [][]byte{[]byte("d")},
		Complete: []*pb.ImportedPartition{{Partition: 9, Floor: 4}},
	}}}
}

func swept() *pb.Command {
	return &pb.Command{StampMs: 5, Kind: &pb.Command_Sweep{Sweep: &pb.SweepRecords{
		Keys: [][]byte{[]byte("k")}, Swept: []*pb.SweptPartitions{{First: 1, Last: 9, Epoch: 300}},
	}}}
}

func raised(format uint32) *pb.Command {
	return &pb.Command{StampMs: 5, Kind: &pb.Command_Raise{Raise: &pb.RaiseFormat{Format: format}}}
}

// inSession is an append of a session, and the opening of another one.
func inSession() *pb.Command {
	c := writes(
		&pb.Write{Kind: &pb.Write_Append{Append: &pb.Append{Key: []byte("k"), Value: []byte("v"), Limit: 99}}, Session: 1, Sequence: 5},
		&pb.Write{Kind: &pb.Write_Open{Open: &pb.OpenSession{Nonce: 0x0102030405060708, ExpiryMs: 60_000}}},
	)
	c.GetWrite().Sessions = []*pb.Session{{Id: []byte("0123456789abcdef"), Floor: 4}}
	return c
}

// conditional is everything that came with format 3.
func conditional() *pb.Command {
	exchange, take := put("k", "v", nil), remove("k", nil)
	exchange.GetPut().ReturnPrevious, take.GetDelete().ReturnPrevious = true, true
	return writes(
		&pb.Write{Kind: &pb.Write_CompareAndSet{CompareAndSet: &pb.CompareAndSet{Key: []byte("k"), Value: []byte("w")}}},
		&pb.Write{Kind: &pb.Write_CompareAndSet{CompareAndSet: &pb.CompareAndSet{Key: []byte("k"), Expected: []byte{}, Value: []byte("w")}}},
		&pb.Write{Kind: &pb.Write_Increment{Increment: &pb.Increment{Key: []byte("n"), By: -300}}},
		exchange, take,
	)
}

// transaction holds each condition and each operation.
func transaction() *pb.Command {
	then := []*pb.TransactionOperation{
		{Kind: &pb.TransactionOperation_Get{Get: &pb.Get{Key: []byte("k")}}},
		{Kind: &pb.TransactionOperation_Put{Put: put("k", "v", proto.Uint64(3)).GetPut()}},
		{Kind: &pb.TransactionOperation_Delete{Delete: remove("k", nil).GetDelete()}},
		{Kind: &pb.TransactionOperation_Append{Append: &pb.Append{Key: []byte("k"), Value: []byte("v"), Limit: 99}}},
	}
	otherwise := []*pb.TransactionOperation{{Kind: &pb.TransactionOperation_Increment{Increment: &pb.Increment{Key: []byte("n"), By: -1}}}}
	return writes(&pb.Write{Kind: &pb.Write_Transaction{Transaction: &pb.Transaction{Then: then, Otherwise: otherwise, Conditions: []*pb.Condition{
		{Key: []byte("k"), Comparison: pb.Condition_COMPARISON_GREATER, Operand: &pb.Condition_Version{Version: 300}},
		{Key: []byte("k"), Comparison: pb.Condition_COMPARISON_NOT_EQUAL, Operand: &pb.Condition_Value{}},
		{Key: []byte("k"), Comparison: pb.Condition_COMPARISON_EQUAL, Operand: &pb.Condition_Exists{}},
	}}}})
}

// altered is transaction in the known format, with one thing that is not right.
func altered(change func(*pb.Transaction)) *pb.Command {
	c := transaction()
	c.Format = Format
	change(c.GetWrite().GetWrites()[0].GetTransaction())
	return c
}

// mortal is everything about times to live, each a command of format 3.
func mortal() []*pb.Command {
	p, i := put("k", "v", nil), imported()
	p.GetPut().TtlMs = 300
	i.GetImport().Records[0].TtlMs = 1
	return []*pb.Command{
		writes(p, &pb.Write{Kind: &pb.Write_Touch{Touch: &pb.Touch{Key: []byte("k"), TtlMs: 7}}}), i,
		{StampMs: 5, Kind: &pb.Command_Expire{Expire: &pb.Expire{Keys: [][]byte{[]byte("k")}}}},
	}
}

// changed is inSession in the known format, with one thing that is not right.
func changed(change func(*pb.WriteBatch)) *pb.Command {
	c := inSession()
	c.Format = Format
	change(c.GetWrite())
	return c
}

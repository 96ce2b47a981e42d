package fsm

import (
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
)

func kindOf(write *pb.Write) Kind {
	switch write.GetKind().(type) {
	case *pb.Write_Put:
		return KindPut
	case *pb.Write_Delete:
		return KindDelete
	case *pb.Write_CompareAndSet:
		return KindCompareAndSet
	case *pb.Write_Increment:
		return KindIncrement
	case *pb.Write_Transaction:
		return KindTransaction
	case *pb.Write_Touch:
		return KindTouch
	case *pb.Write_GrantLease:
		return KindGrantLease
	case *pb.Write_KeepAlive:
		return KindKeepAlive
	case *pb.Write_RevokeLease:
		return KindRevokeLease
	default:
		return KindAppend
	}
}

// keyOf is the write's key, or of a transaction one that stands for all; nil of what is about a lease.
func keyOf(write *pb.Write) []byte {
	switch kind := write.GetKind().(type) {
	case *pb.Write_Put:
		return kind.Put.GetKey()
	case *pb.Write_Delete:
		return kind.Delete.GetKey()
	case *pb.Write_CompareAndSet:
		return kind.CompareAndSet.GetKey()
	case *pb.Write_Increment:
		return kind.Increment.GetKey()
	case *pb.Write_Transaction:
		return command.FirstKey(kind.Transaction)
	case *pb.Write_Touch:
		return kind.Touch.GetKey()
	default:
		return write.GetAppend().GetKey()
	}
}

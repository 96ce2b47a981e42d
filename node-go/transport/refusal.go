package transport

import "fmt"

// Reason says why a node refuses a connection. The numbers are on the wire: never reuse one.
type Reason uint8

const (
	accepted Reason = iota
	// WrongCluster: the dialler belongs to another cluster.
	WrongCluster
	// WrongShard: the dialler belongs to another shard of the cluster.
	WrongShard
	// WrongNode: the dialler looks for another node; the address is no longer that node's.
	WrongNode
	// SameNode: the dialler has this node's own id. Two processes run on copies of one data directory, which would count
	// one vote twice.
	SameNode
	// BadHello: the dialler's hello cannot be read.
	BadHello
)

func (r Reason) String() string {
	switch r {
	case WrongCluster:
		return "wrong cluster"
	case WrongShard:
		return "wrong shard"
	case WrongNode:
		return "wrong node"
	case SameNode:
		return "same node id"
	case BadHello:
		return "bad hello"
	default:
		return fmt.Sprintf("reason %d", uint8(r))
	}
}

// RefusalError says that a peer was reached and refused the connection.
type RefusalError struct {
	Reason Reason
	// Address that was dialled, in the hope to reach node Want.
	Address string
	Want    string
	// Got is who answered, by its own word.
	Got Identity
}

func (e *RefusalError) Error() string {
	return fmt.Sprintf("%s, dialled for node %s, refuses: %s (it is node %q of shard %d of cluster %q)",
		e.Address, e.Want, e.Reason, e.Got.NodeID, e.Got.Shard, e.Got.ClusterID)
}

// UnknownNodeError says that the Book has no address for a node.
type UnknownNodeError struct{ Node string }

func (e *UnknownNodeError) Error() string { return "the address of node " + e.Node + " is not known" }

package transport

import "github.com/hashicorp/raft"

// Heartbeat sends one as Raft's leader does, beside Raft's own, and notes the acknowledgement before it calls done, on
// another goroutine. False: the transport is closed, and done is not called.
//
// term must be one that this node leads in, or did: to its peers it is the word of that term's leader.
func (t *Transport) Heartbeat(to raft.ServerID, term uint64, done func(error)) bool {
	self := t.EncodePeer(raft.ServerID(t.identity.NodeID), t.LocalAddr())
	request := &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(t.identity.NodeID), Addr: self,
		},
		Term: term,
	}
	return t.spawn(func() {
		done(t.AppendEntries(to, raft.ServerAddress(to), request, &raft.AppendEntriesResponse{}))
	})
}

// Package transport carries Raft between the nodes of one shard, and shares the node's one TCP port with gRPC.
//
//	Mux        one listener; the first bytes of a connection tell Raft from gRPC
//	stream     a raft.StreamLayer: dials by node id, and makes both ends prove who they are before Raft sees a byte
//	Book       node id -> address
//	Transport  raft.NetworkTransport over that stream, which remembers what was acknowledged and who is connected
//
// Everywhere in Raft a server's address is its id. Where it listens is known to the Book alone, so a node may move
// without a change of configuration, and a vote is stored for an id that is never used twice.
package transport

package transport

import (
	"net"
	"time"
)

// limits are the times after which the transport gives something up. They are constants but for tests.
type limits struct {
	// handshake bounds one on both ends, the dialling of the address included: two messages between processes that are up.
	handshake time.Duration
	// rpc bounds one call to a peer (a snapshot's grows with its size). Only Raft's goroutines for that peer wait for it,
	// so a peer that is paused holds nobody else up, and it may be long: it must cover 64 entries of 512 KiB and their
	// fsync on a slow disk, because a call that is given up is repeated from its start. It ends after a stalled disk has
	// ended the follower (raftlog: 2.5 s), and within it a host that came back after a power loss is found.
	rpc time.Duration
	// progress bounds one read or write in the middle of a message. It is for snapshots, whose rpc limit grows to hours:
	// without it, a leader that is paused while it streams one blocks the receiver's main loop, which then votes for
	// nobody; and a host that vanished blocks the sender's replication to it.
	progress time.Duration
	// handover bounds TimeoutNow: Raft refuses writes until the call returns, and the peer may be paused.
	handover time.Duration
	// hold is how long replication to a peer that failed is held back at most (see reach). It bounds how long Raft's
	// goroutine for a peer outlives the peer's removal or this node's leadership.
	hold time.Duration
	// order is how long Raft may be busy until it takes an order to campaign. A later one would disturb whoever has been
	// elected meanwhile.
	order time.Duration
	// probe bounds one look whether an address refuses connections; a refusal comes back in one round trip.
	probe time.Duration
}

func defaultLimits() limits {
	return limits{
		handshake: time.Second,
		rpc:       3 * time.Second,
		progress:  3 * time.Second,
		handover:  500 * time.Millisecond,
		hold:      30 * time.Second,
		order:     200 * time.Millisecond,
		probe:     500 * time.Millisecond,
	}
}

const (
	// maxIdle connections to each peer are kept: replication and heartbeats use two, votes one.
	maxIdle = 3
	// maxHandshakes bounds the handshakes under way on accepted connections; one more waits for its turn.
	maxHandshakes = 64
	// peekLimit is how long a new connection may stay silent before it is taken for gRPC's, which has its own limit. Raft's
	// dialler sends its magic at once.
	peekLimit = 3 * time.Second
	// maxUndecided bounds the connections that nobody has accepted yet; one more is closed. Each costs a goroutine.
	maxUndecided = 1024
	// maxWaiting bounds those of Raft's connections that wait to be accepted: while a node is still opening its data, its
	// peers dial, give up, and dial again.
	maxWaiting = 16
	// acceptRetry is the wait after a failed accept (no file descriptor left): failing again at once would burn a core.
	acceptRetry = 20 * time.Millisecond
)

// keepAlive finds a peer whose host has vanished: after 5 s of silence three probes, 2 s apart. A connection in use
// fails earlier, by its deadlines.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

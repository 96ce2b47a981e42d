package replica

import (
	"errors"
	"sync"

	"github.com/hashicorp/raft"
)

// errUnsettled answers a heartbeat that must go through Raft's main loop. The leader repeats it after 10 ms.
var errUnsettled = errors.New("this node is changing its term")

// raftTransport is all that Raft looks for in a transport.
type raftTransport interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
}

// heartbeatGate keeps Raft's heartbeat fast path from moving the term.
//
// Raft handles heartbeats on the connection's goroutine, beside its main loop, so that a follower whose disk is slow
// still answers. But a heartbeat of a newer term changes term and state there, while the main loop may be appending as
// leader or voting: entries get the newer leader's term and the logs diverge unnoticed (hashicorp/raft#695, open in
// v1.7.3), or the term goes back after a vote. So the fast path is open only where it changes neither: to a follower
// that knows a leader, for heartbeats of no newer term than its own. Everything else goes through the main loop.
//
// Raft reads term and state more than once in the fast path. They cannot change in between: the main loop leaves the
// follower's state only through an observation, which waits here until no heartbeat is in the fast path.
type heartbeatGate struct {
	raftTransport
	// state and term are Raft's.
	state func() raft.RaftState
	term  func() uint64

	// handler is Raft's fast path.
	handler func(raft.RPC)
	// inside is held for reading in the fast path, and taken for writing to wait until it is empty.
	inside sync.RWMutex
}

// SetHeartbeatHandler is called by NewRaft. The gate stays closed until a leader is known.
func (g *heartbeatGate) SetHeartbeatHandler(handler func(raft.RPC)) { g.handler = handler }

// observe takes Raft's observations on Raft's own goroutine, before what they announce has any effect.
func (g *heartbeatGate) observe(data any) {
	switch event := data.(type) {
	case raft.RaftState:
		if event != raft.Follower {
			g.shut()
			g.inside.Lock()
			//lint:ignore SA2001 waiting for the readers is the purpose
			g.inside.Unlock()
		}
	case raft.LeaderObservation:
		if event.LeaderID == "" {
			g.shut()
		} else {
			g.open()
		}
	}
}

func (g *heartbeatGate) open() { g.raftTransport.SetHeartbeatHandler(g.handle) }

func (g *heartbeatGate) shut() { g.raftTransport.SetHeartbeatHandler(nil) }

func (g *heartbeatGate) handle(rpc raft.RPC) {
	g.inside.RLock()
	defer g.inside.RUnlock()
	request, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !ok || g.state() != raft.Follower || request.Term > g.term() {
		// From now on through the main loop, until it has settled on a leader again.
		g.shut()
		rpc.Respond(nil, errUnsettled)
		return
	}
	g.handler(rpc)
}

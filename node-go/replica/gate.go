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
// Raft reads term and state more than once in the fast path. They cannot change in between: before the main loop leaves
// the follower's state it forgets its leader, and announces that here, where it waits until no heartbeat is in the fast
// path. Waiting for the new state to be announced would be too late, it holds by then: a heartbeat that meets a candidate
// makes it a follower again, and a node that has just taken an order to campaign (TimeoutNow) would drop it. Its leader
// would refuse writes for an election time-out, in vain.
type heartbeatGate struct {
	raftTransport
	// state and term are Raft's.
	state func() raft.RaftState
	term  func() uint64

	// handler is Raft's fast path.
	handler func(raft.RPC)

	mu sync.Mutex
	// opened says whether heartbeats may enter the fast path; never again once it is closed.
	opened, closed bool
	// inside counts the heartbeats that are in it; left tells of each that leaves.
	inside int
	left   *sync.Cond
	// locked counts how often the gate was shut.
	locked int
}

func newHeartbeatGate(transport raftTransport) *heartbeatGate {
	g := &heartbeatGate{raftTransport: transport}
	g.left = sync.NewCond(&g.mu)
	return g
}

// SetHeartbeatHandler is called by NewRaft. The gate stays closed until a leader is known.
func (g *heartbeatGate) SetHeartbeatHandler(handler func(raft.RPC)) { g.handler = handler }

// observe takes Raft's observations on Raft's own goroutine, before what follows on them has any effect.
func (g *heartbeatGate) observe(data any) {
	switch event := data.(type) {
	case raft.RaftState:
		if event != raft.Follower {
			g.shut()
		}
	case raft.LeaderObservation:
		if event.LeaderID == "" {
			g.shut()
		} else {
			g.open()
		}
	}
}

// open lets heartbeats in, unless one is inside: then the gate is open already, or the main loop waits for that one, which
// has just told Raft of the leader that the main loop has forgotten.
func (g *heartbeatGate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unlock()
}

// catchUp opens the gate to a follower whose leader Raft knew before anybody observed it: Raft's main loop runs as soon as it
// is made, and a leader's message may wait for it by then. It comes after the observer is there, on another goroutine than
// Raft's: the leader that it sees may be forgotten meanwhile. Then the main loop shuts the gate, before this opens it, which
// it notices, or after that.
func (g *heartbeatGate) catchUp(leader func() raft.ServerID) {
	g.mu.Lock()
	locked := g.locked
	g.mu.Unlock()
	if leader() == "" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.locked == locked {
		g.unlock()
	}
}

// shut returns when no heartbeat is in the fast path any more. None of those inside comes here: it would have to find
// another state than a follower's.
func (g *heartbeatGate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lock()
	for g.inside > 0 {
		g.left.Wait()
	}
}

// close keeps heartbeats out for good. It must come before Raft's Shutdown, which changes the state on a goroutine of its
// own, while the main loop may be letting heartbeats in.
func (g *heartbeatGate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.shut()
}

// unlock is called with mu held.
func (g *heartbeatGate) unlock() {
	if g.inside > 0 || g.closed {
		return
	}
	g.opened = true
	g.raftTransport.SetHeartbeatHandler(g.handle)
}

// lock is called with mu held.
func (g *heartbeatGate) lock() {
	g.opened = false
	g.locked++
	g.raftTransport.SetHeartbeatHandler(nil)
}

func (g *heartbeatGate) handle(rpc raft.RPC) {
	if !g.enter(rpc) {
		rpc.Respond(nil, errUnsettled)
		return
	}
	defer g.leave()
	g.handler(rpc)
}

func (g *heartbeatGate) enter(rpc raft.RPC) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	request, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !g.opened || !ok || g.state() != raft.Follower || request.Term > g.term() {
		// From now on through the main loop, until it has settled on a leader again.
		g.lock()
		return false
	}
	g.inside++
	return true
}

func (g *heartbeatGate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.left.Broadcast()
}

package replica

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"

	"kvorum/node/kverr"
)

// gateBench is a gate between a fake network and a fake Raft.
type gateBench struct {
	raftTransport // nil: the gate uses nothing else
	gate          *heartbeatGate
	state         atomic.Uint32
	term          atomic.Uint64

	mu sync.Mutex
	// fast is what the network calls for a heartbeat; nil sends it to Raft's main loop.
	fast func(raft.RPC)
	// handled are the terms that reached Raft's fast path.
	handled chan uint64
	// entered and leave hold a heartbeat inside the fast path.
	entered, leave chan struct{}
	// shut, if it is there, is called when the network is told to send heartbeats to the main loop.
	shut func()
}

func (b *gateBench) SetHeartbeatHandler(handler func(raft.RPC)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fast = handler
	if handler == nil && b.shut != nil {
		b.shut()
	}
}

func newGateBench() *gateBench {
	b := &gateBench{handled: make(chan uint64, 16)}
	b.gate = newHeartbeatGate(b)
	b.gate.state = func() raft.RaftState { return raft.RaftState(b.state.Load()) }
	b.gate.term = b.term.Load
	b.gate.SetHeartbeatHandler(func(rpc raft.RPC) {
		if b.entered != nil {
			b.entered <- struct{}{}
			<-b.leave
		}
		b.handled <- rpc.Command.(*raft.AppendEntriesRequest).Term
		rpc.Respond(&raft.AppendEntriesResponse{}, nil)
	})
	return b
}

// heartbeat delivers one, and says where it went.
func (b *gateBench) heartbeat(term uint64) string {
	b.mu.Lock()
	fast := b.fast
	b.mu.Unlock()
	if fast == nil {
		return "main loop"
	}
	answer := make(chan raft.RPCResponse, 1)
	fast(raft.RPC{Command: &raft.AppendEntriesRequest{Term: term}, RespChan: answer})
	if (<-answer).Error != nil {
		return "refused"
	}
	return "fast path"
}

func (b *gateBench) follow(term uint64) {
	b.state.Store(uint32(raft.Follower))
	b.term.Store(term)
	b.gate.observe(raft.LeaderObservation{LeaderID: "leader"})
}

func (b *gateBench) forget() { b.gate.observe(raft.LeaderObservation{}) }

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("the heartbeat went to the %s, want %s", got, want)
	}
}

func TestHeartbeatsTakeTheFastPathOnlyWhereItMovesNoTerm(t *testing.T) {
	b := newGateBench()
	expect(t, b.heartbeat(1), "main loop") // no leader is known yet
	b.follow(3)
	expect(t, b.heartbeat(3), "fast path")
	expect(t, b.heartbeat(2), "fast path") // answered with our term, which is what the old leader must hear
	expect(t, b.heartbeat(4), "refused")   // it would move the term
	expect(t, b.heartbeat(4), "main loop") // repeated
	b.follow(4)
	expect(t, b.heartbeat(4), "fast path")
	b.gate.observe(raft.LeaderObservation{})
	expect(t, b.heartbeat(4), "main loop")
}

func TestALeaderAndACandidateHaveNoFastPath(t *testing.T) {
	for _, state := range []raft.RaftState{raft.Candidate, raft.Leader, raft.Shutdown} {
		t.Run(state.String(), func(t *testing.T) {
			b := newGateBench()
			b.follow(3)
			b.state.Store(uint32(state))
			expect(t, b.heartbeat(3), "refused") // the observation is still to come
			b.follow(3)
			b.state.Store(uint32(state))
			b.gate.observe(state)
			expect(t, b.heartbeat(3), "main loop")
			expect(t, b.heartbeat(9), "main loop")
		})
	}
}

func TestRaftDoesNotBecomeCandidateWhileAHeartbeatIsInTheFastPath(t *testing.T) {
	b := newGateBench()
	b.entered, b.leave = make(chan struct{}), make(chan struct{})
	b.follow(3)
	went := background(func() string { return b.heartbeat(3) })
	receive(t, b.entered)
	b.state.Store(uint32(raft.Candidate))
	observed := background(func() bool {
		b.gate.observe(raft.Candidate)
		return true
	})
	nothing(t, observed, "the candidate went on")
	// What the fast path does to a candidate, it announces: that must not wait for itself.
	b.gate.observe(raft.Follower)
	b.gate.observe(raft.LeaderObservation{LeaderID: "leader"})
	close(b.leave)
	expect(t, receive(t, went), "fast path")
	receive(t, observed)
}

// A node that takes an order to campaign forgets its leader, becomes a candidate, and only then notes that it was ordered.
// A heartbeat between the last two would make it a follower again.
func TestRaftForgetsItsLeaderWhenNoHeartbeatIsInTheFastPath(t *testing.T) {
	b := newGateBench()
	b.entered, b.leave = make(chan struct{}), make(chan struct{})
	b.follow(3)
	went := background(func() string { return b.heartbeat(3) })
	receive(t, b.entered)
	b.shut = sync.OnceFunc(func() { go close(b.leave) })
	b.gate.observe(raft.LeaderObservation{})
	if len(b.handled) == 0 {
		t.Fatal("the leader was forgotten while a heartbeat was in the fast path")
	}
	expect(t, receive(t, went), "fast path")
}

func TestAHeartbeatInTheFastPathDoesNotOpenTheGateThatWaitsForIt(t *testing.T) {
	b := newGateBench()
	b.entered, b.leave = make(chan struct{}), make(chan struct{})
	b.follow(3)
	late := b.fast // of a heartbeat that comes in now, and goes on later
	went := background(func() string { return b.heartbeat(3) })
	receive(t, b.entered)
	b.shut = sync.OnceFunc(func() {
		go func() {
			// It tells Raft of the leader again.
			b.gate.observe(raft.LeaderObservation{LeaderID: "leader"})
			close(b.leave)
		}()
	})
	b.gate.observe(raft.LeaderObservation{})
	expect(t, receive(t, went), "fast path")
	expect(t, b.heartbeat(3), "main loop")
	b.fast = late
	expect(t, b.heartbeat(3), "refused")
	b.entered = nil
	b.follow(3)
	expect(t, b.heartbeat(3), "fast path")
}

// Raft's main loop may hear of a leader before there is an observer.
func TestTheGateOpensForALeaderThatNobodyHasObserved(t *testing.T) {
	for name, at := range map[string]struct {
		leader raft.ServerID
		// meanwhile happens when the gate has asked who leads.
		meanwhile func(*gateBench)
		want      string
	}{
		"it leads":              {leader: "leader", want: "fast path"},
		"nobody leads":          {want: "main loop"},
		"forgotten meanwhile":   {leader: "leader", meanwhile: (*gateBench).forget, want: "main loop"},
		"closed meanwhile":      {leader: "leader", meanwhile: func(b *gateBench) { b.gate.close() }, want: "main loop"},
		"observed after all":    {leader: "leader", meanwhile: func(b *gateBench) { b.follow(3) }, want: "fast path"},
		"followed by a new one": {leader: "leader", meanwhile: func(b *gateBench) { b.forget(); b.follow(3) }, want: "fast path"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newGateBench()
			b.state.Store(uint32(raft.Follower))
			b.term.Store(3)
			b.gate.catchUp(func() raft.ServerID {
				if at.meanwhile != nil {
					at.meanwhile(b)
				}
				return at.leader
			})
			expect(t, b.heartbeat(3), at.want)
		})
	}
}

func TestAClosedGateStaysClosed(t *testing.T) {
	b := newGateBench()
	b.follow(3)
	b.gate.close()
	b.follow(3)
	expect(t, b.heartbeat(3), "main loop")
}

func TestAnOrderToCampaignSurvivesAHeartbeat(t *testing.T) {
	c := startCluster(t, 2, patient, nil)
	leader := c.leader()
	follower := c.others(leader)[0]
	follower.catchUp(leader)
	entered, leave := follower.holdHeartbeats()
	read := background(func() error {
		_, err := leader.get("k")
		return err
	})
	receive(t, entered)
	handed := background(func() *kverr.Error { return leader.TransferLeadership(c.ctx, follower.id) })
	for follower.knowsLeader() {
		runtime.Gosched() // the order is on its way: nothing announces it before Raft has forgotten its leader
	}
	close(leave)
	if err := receive(t, handed); err != nil {
		t.Fatal(err)
	}
	if now := c.leader(leader); now != follower {
		t.Fatalf("%s leads", now.id)
	}
	receive(t, read) // begun under the old leader: it may have failed
}

// holdHeartbeats holds those that are in Raft's fast path.
func (n *testNode) holdHeartbeats() (entered <-chan struct{}, leave chan<- struct{}) {
	in, out := make(chan struct{}, 16), make(chan struct{})
	n.gate.mu.Lock()
	defer n.gate.mu.Unlock()
	handler := n.gate.handler
	n.gate.handler = func(rpc raft.RPC) {
		in <- struct{}{}
		<-out
		handler(rpc)
	}
	return in, out
}

func (n *testNode) knowsLeader() bool {
	_, id := n.raft.LeaderWithID()
	return id != ""
}

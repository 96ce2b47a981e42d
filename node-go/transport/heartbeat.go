package transport

import (
	"errors"
	"sync"

	"github.com/hashicorp/raft"
)

// ErrDeposed says that a peer knows a newer term.
var ErrDeposed = errors.New("a peer knows a newer term")

// beat is a heartbeat that is to be sent.
type beat struct {
	term uint64
	done func(error)
}

// beats are the peers' goroutines that send heartbeats: one each, which stays. A goroutine for every heartbeat spent more on
// growing its stack than on anything else.
type beats struct {
	mu    sync.Mutex
	peers map[raft.ServerID]chan beat
}

// Heartbeat sends one as Raft's leader does, beside Raft's own, and notes the acknowledgement before it calls done, on
// another goroutine. One at a time to each peer: the next waits. False: the transport is closed, and done is not called.
//
// term must be one that this node leads in, or did: to its peers it is the word of that term's leader.
func (t *Transport) Heartbeat(to raft.ServerID, term uint64, done func(error)) bool {
	queue := t.beatsTo(to)
	if queue == nil {
		return false
	}
	select {
	case queue <- beat{term: term, done: done}:
		return true
	case <-t.closed:
		return false
	}
}

// beatsTo is nil when the transport is closed.
func (t *Transport) beatsTo(to raft.ServerID) chan<- beat {
	t.beats.mu.Lock()
	defer t.beats.mu.Unlock()
	if queue := t.beats.peers[to]; queue != nil {
		return queue
	}
	queue := make(chan beat)
	if !t.spawn(func() { t.sendBeats(to, queue) }) {
		return nil
	}
	t.beats.peers[to] = queue
	return queue
}

func (t *Transport) sendBeats(to raft.ServerID, queue <-chan beat) {
	self := t.EncodePeer(raft.ServerID(t.identity.NodeID), t.LocalAddr())
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(t.identity.NodeID), Addr: self}
	for {
		select {
		case b := <-queue:
			request := &raft.AppendEntriesRequest{RPCHeader: header, Term: b.term}
			response := &raft.AppendEntriesResponse{}
			err := t.AppendEntries(to, raft.ServerAddress(to), request, response)
			if err == nil && response.Term > b.term {
				err = ErrDeposed
			}
			b.done(err)
		case <-t.closed:
			return
		}
	}
}

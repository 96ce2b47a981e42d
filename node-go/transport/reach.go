package transport

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
)

// reach holds replication to a peer back after a failure, until the peer is heard of again.
//
// Raft waits longer after each failed AppendEntries or snapshot, up to 10 s, and nothing wakes it. So a follower that had
// been away for a minute would get no entries for up to 10 s after its return, and if another node dies then, the shard
// stands still although a majority is up. Heartbeats are sent at least every half heartbeat time-out whatever happens, so
// the first one that is answered (or a handshake of the peer) tells when to go on, and Raft counts few failures.
type reach struct {
	clock  clock.Clock
	limit  time.Duration
	closed <-chan struct{}

	mu sync.Mutex
	// away has a channel for each peer that failed and has not been heard of since.
	away map[raft.ServerID]chan struct{}
}

func newReach(c clock.Clock, limit time.Duration, closed <-chan struct{}) *reach {
	return &reach{clock: c, limit: limit, closed: closed, away: map[raft.ServerID]chan struct{}{}}
}

// failed notes that a call to the peer failed.
func (r *reach) failed(peer raft.ServerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away[peer] == nil {
		r.away[peer] = make(chan struct{})
	}
}

// heard notes a sign of life of the peer.
func (r *reach) heard(peer raft.ServerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if back := r.away[peer]; back != nil {
		close(back)
		delete(r.away, peer)
	}
}

// await returns when a call to the peer is worth trying.
func (r *reach) await(peer raft.ServerID) {
	r.mu.Lock()
	back := r.away[peer]
	r.mu.Unlock()
	if back == nil {
		return
	}
	timer := r.clock.NewTimer(r.limit)
	defer timer.Stop()
	select {
	case <-back:
	case <-timer.C():
	case <-r.closed:
	}
}

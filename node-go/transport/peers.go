package transport

import (
	"sync"

	"github.com/hashicorp/raft"
)

// peers knows every open connection by the peer at its other end.
//
// A peer is gone when the last connection that it had opened to us closes: a reader waits on each of those, so its end is
// noticed at once. Ours to it lie idle in Raft's pool between calls, nobody reads from them, and their end would be
// noticed only by the next call; they count when the peer has opened none.
type peers struct {
	mu     sync.Mutex
	conns  map[*peerConn]struct{}
	counts map[string]*connCount
	gone   []func(raft.ServerID)
	closed bool
}

type connCount struct{ inbound, outbound int }

func newPeers() *peers {
	return &peers{conns: map[*peerConn]struct{}{}, counts: map[string]*connCount{}}
}

// add returns false, and nothing is added, once all are closed.
func (p *peers) add(conn *peerConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[conn] = struct{}{}
	count := p.counts[conn.peer]
	if count == nil {
		count = &connCount{}
		p.counts[conn.peer] = count
	}
	*count.of(conn)++
	return true
}

// remove is what a connection calls when it is closed.
func (p *peers) remove(conn *peerConn) {
	p.mu.Lock()
	if _, open := p.conns[conn]; !open {
		p.mu.Unlock()
		return
	}
	delete(p.conns, conn)
	count := p.counts[conn.peer]
	*count.of(conn)--
	last := count.inbound == 0 && (conn.inbound || count.outbound == 0)
	if count.inbound == 0 && count.outbound == 0 {
		delete(p.counts, conn.peer)
	}
	var tell []func(raft.ServerID)
	if last && !p.closed {
		tell = p.gone
	}
	p.mu.Unlock()
	for _, f := range tell {
		f(raft.ServerID(conn.peer))
	}
}

func (p *peers) onGone(f func(raft.ServerID)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = append(p.gone[:len(p.gone):len(p.gone)], f)
}

// closeAll closes every connection; none can be added any more, and nobody is told.
func (p *peers) closeAll() {
	p.mu.Lock()
	p.closed = true
	var open []*peerConn
	for conn := range p.conns {
		open = append(open, conn)
	}
	p.mu.Unlock()
	for _, conn := range open {
		conn.Close()
	}
}

func (c *connCount) of(conn *peerConn) *int {
	if conn.inbound {
		return &c.inbound
	}
	return &c.outbound
}

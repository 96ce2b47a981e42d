package replica

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// network carries every connection between the nodes of a test, and can hold links: bytes then stay where they are, as
// if an end was paused or the cable cut, and go on when the link is released.
type network struct {
	mu sync.Mutex
	// held are the directions in which nothing moves.
	held    map[direction]bool
	changed *sync.Cond
	closed  bool
	conns   map[net.Conn]struct{}
	running sync.WaitGroup
}

// direction is from one node id to another.
type direction struct{ from, to string }

func newNetwork(t *testing.T) *network {
	n := &network{held: map[direction]bool{}, conns: map[net.Conn]struct{}{}}
	n.changed = sync.NewCond(&n.mu)
	t.Cleanup(n.close)
	return n
}

// hold stops a direction, release lets it go on.
func (n *network) hold(from, to string)    { n.set(direction{from, to}, true) }
func (n *network) release(from, to string) { n.set(direction{from, to}, false) }

// cut holds all links of a node, both ways; mend releases them.
func (n *network) cut(node string, others ...string) {
	for _, other := range others {
		n.hold(node, other)
		n.hold(other, node)
	}
}

func (n *network) mend(node string, others ...string) {
	for _, other := range others {
		n.release(node, other)
		n.release(other, node)
	}
}

func (n *network) set(d direction, held bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[d] = held
	n.changed.Broadcast()
}

// await returns when the direction is free; false when the network is closed.
func (n *network) await(d direction) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.held[d] && !n.closed {
		n.changed.Wait()
	}
	return !n.closed
}

// listen makes an address in front of a node. ids are those of all nodes: a dialler says in its hello who it is.
func (n *network) listen(t *testing.T, node string, ids []string, target func() string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	n.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n.running.Go(func() { n.carry(conn, node, ids, target) })
		}
	})
	return listener.Addr().String()
}

func (n *network) carry(dialled net.Conn, node string, ids []string, target func() string) {
	defer dialled.Close()
	if !n.track(dialled) {
		return
	}
	defer n.untrack(dialled)
	hello := make([]byte, 1024)
	size, err := dialled.Read(hello)
	for err == nil && sender(hello[:size], node, ids) == "" {
		var more int
		more, err = dialled.Read(hello[size:])
		size += more
	}
	if err != nil {
		return
	}
	from := sender(hello[:size], node, ids)
	accepted, err := net.Dial("tcp", target())
	if err != nil {
		return
	}
	defer accepted.Close()
	if !n.track(accepted) {
		return
	}
	defer n.untrack(accepted)
	var back sync.WaitGroup
	back.Go(func() { n.copy(dialled, accepted, direction{node, from}, nil) })
	n.copy(accepted, dialled, direction{from, node}, hello[:size])
	back.Wait()
}

// copy moves bytes in one direction until an end closes, and then closes both.
func (n *network) copy(to, from net.Conn, d direction, first []byte) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		if !n.await(d) {
			return
		}
		if _, err := to.Write(first); err != nil {
			return
		}
		size, err := from.Read(buffer)
		if err != nil {
			return
		}
		first = buffer[:size]
	}
}

func sender(hello []byte, to string, ids []string) string {
	for _, id := range ids {
		if id != to && bytes.Contains(hello, []byte(id)) {
			return id
		}
	}
	return ""
}

func (n *network) track(c net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.conns[c] = struct{}{}
	return true
}

func (n *network) untrack(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

func (n *network) close() {
	n.mu.Lock()
	n.closed = true
	n.changed.Broadcast()
	var open []io.Closer
	for conn := range n.conns {
		open = append(open, conn)
	}
	n.mu.Unlock()
	for _, conn := range open {
		conn.Close()
	}
	n.running.Wait()
}

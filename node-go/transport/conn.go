package transport

import (
	"net"
	"sync"
	"time"

	"kvorum/node/clock"
)

// peerConn is a connection whose other end has proven who it is. Like Raft's use of it, it is for one goroutine at a
// time; only Close may come from another one.
type peerConn struct {
	net.Conn
	peer    string
	inbound bool
	clock   clock.Clock
	// progress is limits.progress.
	progress time.Duration

	// deadline is the one that Raft has set last.
	deadline time.Time
	// midMessage: bytes were read that are not answered yet, so more must come, or the answer.
	midMessage bool
	// limited: a read deadline of ours is set.
	limited bool

	once     sync.Once
	onClose  func(*peerConn)
	closeErr error
}

// SetDeadline is called by Raft before each call that it makes.
func (c *peerConn) SetDeadline(t time.Time) error {
	c.deadline = t
	return c.Conn.SetDeadline(t)
}

// Read, on the accepting side, may wait for ever for the next request, but not for the rest of one.
func (c *peerConn) Read(p []byte) (int, error) {
	if c.midMessage || c.limited {
		var deadline time.Time
		if c.midMessage {
			deadline = c.clock.Now().Add(c.progress)
		}
		if err := c.Conn.SetReadDeadline(deadline); err != nil {
			return 0, err
		}
		c.limited = c.midMessage
	}
	n, err := c.Conn.Read(p)
	c.midMessage = c.inbound && (c.midMessage || n > 0)
	return n, err
}

// Write never waits longer than progress, nor past Raft's deadline.
func (c *peerConn) Write(p []byte) (int, error) {
	c.midMessage = false
	deadline := c.clock.Now().Add(c.progress)
	if !c.deadline.IsZero() && c.deadline.Before(deadline) {
		deadline = c.deadline
	}
	if err := c.Conn.SetWriteDeadline(deadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *peerConn) Close() error {
	c.once.Do(func() {
		c.closeErr = c.Conn.Close()
		c.onClose(c)
	})
	return c.closeErr
}

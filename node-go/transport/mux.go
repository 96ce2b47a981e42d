package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kvorum/node/clock"
)

// MuxOptions of Listen; all are required.
type MuxOptions struct {
	Clock clock.Clock
	Log   *slog.Logger

	// peekLimit is shorter in tests.
	peekLimit time.Duration
}

// Mux is one TCP port for two protocols. A connection that begins with Raft's magic goes to Raft, any other to gRPC,
// with all its bytes. (TCP_NODELAY is Go's default.)
type Mux struct {
	options  MuxOptions
	listener net.Listener
	grpc     *branch
	raft     *branch

	mu sync.Mutex
	// undecided are the connections that are not yet accepted from a branch.
	undecided map[net.Conn]struct{}
	// waiting counts those of Raft's that nobody has accepted.
	waiting atomic.Int32
	closing chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

// Listen opens the port. Close stops it and every goroutine behind it.
func Listen(address string, options MuxOptions) (*Mux, error) {
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	if options.peekLimit == 0 {
		options.peekLimit = peekLimit
	}
	m := &Mux{
		options: options, listener: listener,
		undecided: map[net.Conn]struct{}{}, closing: make(chan struct{}),
	}
	m.grpc = newBranch(listener.Addr())
	m.raft = newBranch(listener.Addr())
	m.running.Add(1)
	go m.accept()
	return m, nil
}

// Addr is what is listened on, with the port that port 0 became.
func (m *Mux) Addr() net.Addr { return m.listener.Addr() }

// GRPC gives the connections that are not Raft's. Closing it does not close the port.
func (m *Mux) GRPC() net.Listener { return m.grpc }

// Raft gives the connections that begin with the magic, which is still to be read from them. Closing it does not close
// the port.
func (m *Mux) Raft() net.Listener { return m.raft }

// Close closes the port, both listeners and the connections that nobody has accepted. Accepted ones belong to whoever
// accepted them.
func (m *Mux) Close() error {
	var err error
	m.once.Do(func() {
		m.mu.Lock()
		close(m.closing)
		for conn := range m.undecided {
			conn.Close()
		}
		m.mu.Unlock()
		err = m.listener.Close()
		m.grpc.Close()
		m.raft.Close()
	})
	m.running.Wait()
	return err
}

func (m *Mux) accept() {
	defer m.running.Done()
	for {
		conn, err := m.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			m.options.Log.Error("accept failed", "error", err)
			if !m.pause() {
				return
			}
			continue
		}
		if !m.admit(conn) {
			conn.Close()
			continue
		}
		go m.route(conn)
	}
}

// pause waits a little, and returns false when the mux was closed meanwhile.
func (m *Mux) pause() bool {
	timer := m.options.Clock.NewTimer(acceptRetry)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-m.closing:
		return false
	}
}

func (m *Mux) admit(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.closing:
		return false
	default:
	}
	if len(m.undecided) >= maxUndecided {
		return false
	}
	m.undecided[conn] = struct{}{}
	m.running.Add(1)
	return true
}

func (m *Mux) release(conn net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.undecided, conn)
	m.running.Done()
}

// route reads as much of a connection as tells whose it is, and hands it over. Nobody waits for it.
func (m *Mux) route(conn net.Conn) {
	defer m.release(conn)
	peeked, err := m.peek(conn)
	if err != nil {
		conn.Close()
		return
	}
	to := m.grpc
	if string(peeked) == magic {
		to = m.raft
		defer m.waiting.Add(-1)
		if m.waiting.Add(1) > maxWaiting {
			conn.Close()
			return
		}
	}
	if !to.hand(&replayConn{Conn: conn, replay: peeked}) {
		conn.Close()
	}
}

// peek reads until the bytes differ from the magic, or are all of it, or no more come. Without any byte it returns an
// error when the connection ends, and nothing when it is only silent.
func (m *Mux) peek(conn net.Conn) ([]byte, error) {
	if err := conn.SetReadDeadline(m.options.Clock.Now().Add(m.options.peekLimit)); err != nil {
		return nil, err
	}
	peeked := make([]byte, 0, len(magic))
	for len(peeked) < len(magic) && string(peeked) == magic[:len(peeked)] {
		n, err := conn.Read(peeked[len(peeked):cap(peeked)])
		peeked = peeked[:len(peeked)+n]
		if err == nil {
			continue
		}
		if len(peeked) == 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		break
	}
	return peeked, conn.SetReadDeadline(time.Time{})
}

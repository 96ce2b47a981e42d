package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
)

var errRefused = errors.New("refused")

// stream is Raft's StreamLayer: connections between nodes of one shard that have told each other who they are.
type stream struct {
	identity Identity
	book     *Book
	listener net.Listener
	wrap     func(conn net.Conn, dialled bool) net.Conn
	dialer   *net.Dialer
	clock    clock.Clock
	limits   limits
	peers    *peers
	reach    *reach
	refusals *refusals

	// ready are the connections that have been shaken hands with.
	ready   chan net.Conn
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	pending map[net.Conn]struct{}
}

var _ raft.StreamLayer = (*stream)(nil)

// start takes connections from the listener until Close.
func (s *stream) start() {
	s.running.Add(1)
	go s.acceptAll()
}

// nodeAddr is a node id in the place where Raft expects an address.
type nodeAddr string

func (a nodeAddr) Network() string { return "kvorum" }
func (a nodeAddr) String() string  { return string(a) }

func (s *stream) Addr() net.Addr { return nodeAddr(s.identity.NodeID) }

// Accept gives connections in the order in which their handshakes finished.
func (s *stream) Accept() (net.Conn, error) {
	select {
	case conn := <-s.ready:
		return conn, nil
	case <-s.life.Done():
		return nil, net.ErrClosed
	}
}

// Close ends every handshake and every connection, and waits for its goroutines.
func (s *stream) Close() error {
	s.end()
	err := s.listener.Close()
	s.mu.Lock()
	for conn := range s.pending {
		conn.Close()
	}
	s.mu.Unlock()
	s.peers.closeAll()
	s.running.Wait()
	return err
}

// Dial connects to the node with that id. Its errors are *UnknownNodeError, *RefusalError, or the network's.
func (s *stream) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	node := string(target)
	address, ok := s.book.Get(node)
	if !ok {
		return nil, &UnknownNodeError{Node: node}
	}
	ctx, cancel := context.WithTimeout(s.life, min(timeout, s.limits.handshake))
	defer cancel()
	raw, err := s.dialTCP(ctx, address)
	if err != nil {
		return nil, err
	}
	conn, err := s.greet(ctx, raw, node, address)
	if err != nil {
		raw.Close()
		var refusal *RefusalError
		if errors.As(err, &refusal) {
			s.refusals.dialled(refusal)
		}
		return nil, err
	}
	return conn, nil
}

func (s *stream) dialTCP(ctx context.Context, address string) (net.Conn, error) {
	return s.dialer.DialContext(ctx, "tcp", address)
}

// Dialer is how a node reaches its peers. On a machine with several addresses the peers, and what stands between, know a
// node by the one that its connections leave from; nil leaves that to the system.
func Dialer(from net.IP) *net.Dialer {
	dialer := &net.Dialer{KeepAliveConfig: keepAlive}
	if from != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: from}
	}
	return dialer
}

// greet is the dialling node's half of a handshake. The magic goes out in the clear, for the mux at the other end.
func (s *stream) greet(ctx context.Context, raw net.Conn, node, address string) (net.Conn, error) {
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if !s.track(raw) {
		return nil, net.ErrClosed
	}
	defer s.untrack(raw)
	framed := hello{from: s.identity, to: node}.encode()
	if _, err := raw.Write(framed[:len(magic)]); err != nil {
		return nil, err
	}
	conn := s.secured(raw, true)
	if _, err := conn.Write(framed[len(magic):]); err != nil {
		return nil, err
	}
	if err := readMagic(conn); err != nil {
		return nil, err
	}
	body, err := readBody(conn)
	if err != nil {
		return nil, err
	}
	reply, err := decodeAnswer(body)
	if err != nil {
		return nil, err
	}
	if reply.reason == accepted {
		reply.reason = s.check(reply.from, node)
	}
	if reply.reason != accepted {
		return nil, &RefusalError{Reason: reply.reason, Address: address, Want: node, Got: reply.from}
	}
	return s.admit(conn, node, false)
}

// check says whether who answered is the node of this shard that was dialled.
func (s *stream) check(got Identity, want string) Reason {
	switch {
	case got.ClusterID != s.identity.ClusterID:
		return WrongCluster
	case got.Shard != s.identity.Shard:
		return WrongShard
	case got.NodeID != want:
		return WrongNode
	default:
		return accepted
	}
}

func (s *stream) acceptAll() {
	defer s.running.Done()
	slots := make(chan struct{}, maxHandshakes)
	for {
		raw, err := s.listener.Accept()
		if err != nil {
			return
		}
		select {
		case slots <- struct{}{}:
		case <-s.life.Done():
			raw.Close()
			return
		}
		if !s.track(raw) {
			raw.Close()
			return
		}
		s.running.Add(1)
		go func() {
			defer s.running.Done()
			s.receive(raw)
			<-slots
		}()
	}
}

// receive shakes hands on an accepted connection and hands it to Raft.
func (s *stream) receive(raw net.Conn) {
	conn, err := s.welcome(raw)
	s.untrack(raw)
	if err != nil {
		raw.Close()
		return
	}
	select {
	case s.ready <- conn:
	case <-s.life.Done():
		conn.Close()
	}
}

// welcome is the accepting node's half of a handshake.
func (s *stream) welcome(raw net.Conn) (net.Conn, error) {
	if err := raw.SetDeadline(s.clock.Now().Add(s.limits.handshake)); err != nil {
		return nil, err
	}
	if err := readMagic(raw); err != nil {
		return nil, err
	}
	conn := s.secured(raw, false)
	var greeting hello
	body, err := readBody(conn)
	if err == nil {
		greeting, err = decodeHello(body)
	}
	if err != nil && !errors.Is(err, errBadFrame) {
		return nil, err
	}
	reason := s.judge(greeting, err)
	if _, err := conn.Write(answer{reason: reason, from: s.identity}.encode()); err != nil {
		return nil, err
	}
	if reason != accepted {
		s.refusals.refused(reason, greeting, raw.RemoteAddr().String())
		return nil, errRefused
	}
	s.book.Set(greeting.from.NodeID, greeting.from.Address)
	return s.admit(conn, greeting.from.NodeID, true)
}

// judge says whether to take a connection whose hello was read, or could not be.
func (s *stream) judge(h hello, bad error) Reason {
	if bad != nil {
		return BadHello
	}
	if reason := s.check(Identity{ClusterID: h.from.ClusterID, Shard: h.from.Shard, NodeID: h.to}, s.identity.NodeID); reason != accepted {
		return reason
	}
	if h.from.NodeID == s.identity.NodeID {
		return SameNode
	}
	return accepted
}

// admit makes a connection with a known peer one of its connections.
func (s *stream) admit(conn net.Conn, peer string, inbound bool) (net.Conn, error) {
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	known := &peerConn{
		Conn: conn, peer: peer, inbound: inbound, clock: s.clock, progress: s.limits.progress, onClose: s.peers.remove,
	}
	if !s.peers.add(known) {
		return nil, net.ErrClosed
	}
	s.reach.heard(raft.ServerID(peer))
	return known, nil
}

func (s *stream) secured(conn net.Conn, dialled bool) net.Conn {
	if s.wrap == nil {
		return conn
	}
	return s.wrap(conn, dialled)
}

// track makes Close end a handshake; false when it is too late.
func (s *stream) track(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.life.Done():
		return false
	default:
	}
	s.pending[conn] = struct{}{}
	return true
}

func (s *stream) untrack(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, conn)
}

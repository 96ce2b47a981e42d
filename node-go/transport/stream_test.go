package transport

import (
	"bytes"
	"crypto/cipher"
	"crypto/rc4"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"kvorum/node/clock"
)

func TestStrangersAreRefusedAtBothEnds(t *testing.T) {
	for _, test := range []struct {
		name     string
		stranger func(*nodeConfig)
		id       string
		dials    raft.ServerID
		want     Reason
	}{
		{"another cluster", func(c *nodeConfig) { c.cluster = "other" }, "b", "a", WrongCluster},
		{"another shard", func(c *nodeConfig) { c.shard = 2 }, "b", "a", WrongShard},
		{"another node is looked for", func(*nodeConfig) {}, "b", "c", WrongNode},
		{"a copy of the data directory", func(*nodeConfig) {}, "a", "a", SameNode},
	} {
		t.Run(test.name, func(t *testing.T) {
			var atHome, abroad syncBuffer
			home := startNode(t, "a", func(c *nodeConfig) { c.log = slog.New(slog.NewTextHandler(&atHome, nil)) })
			stranger := startNode(t, test.id, func(c *nodeConfig) {
				test.stranger(c)
				c.log = slog.New(slog.NewTextHandler(&abroad, nil))
			})
			stranger.book.Set(string(test.dials), home.mux.Addr().String())
			for range 2 {
				err := stranger.heartbeat(test.dials, 1)
				var refusal *RefusalError
				if !errors.As(err, &refusal) || refusal.Reason != test.want || refusal.Got.NodeID != "a" {
					t.Fatalf("got %v, want %s", err, test.want)
				}
			}
			home.kill()
			for end, log := range map[string]*syncBuffer{"refusing": &atHome, "refused": &abroad} {
				if got := strings.Count(log.String(), test.want.String()); got != 1 {
					t.Errorf("the %s end has logged it %d times:\n%s", end, got, log)
				}
			}
			if _, learnt := home.book.Get("b"); learnt {
				t.Error("the address of a stranger was noted")
			}
		})
	}
}

// A dialler also checks the acceptor's word, for one that accepts everybody.
func TestDiallerChecksTheAnswer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if readMagic(conn) == nil {
			readBody(conn)
			conn.Write(answer{from: Identity{ClusterID: "c", Shard: 1, NodeID: "mallory"}}.encode())
		}
	}()
	a := startNode(t, "a")
	a.book.Set("b", listener.Addr().String())
	var refusal *RefusalError
	if err := a.heartbeat("b", 1); !errors.As(err, &refusal) || refusal.Reason != WrongNode {
		t.Errorf("got %v", err)
	}
	await(t, "the impostor", done)
}

func TestUnreadableHelloIsAnswered(t *testing.T) {
	a := startNode(t, "a")
	conn := dial(t, a.mux)
	framed := hello{from: ann, to: "a"}.encode()
	framed[len(framed)-1] ^= 1
	if _, err := conn.Write(framed); err != nil {
		t.Fatal(err)
	}
	if err := readMagic(conn); err != nil {
		t.Fatal(err)
	}
	body, err := readBody(conn)
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := decodeAnswer(body); err != nil || reply.reason != BadHello {
		t.Errorf("got %+v, %v", reply, err)
	}
}

func TestHandshakesEndInTime(t *testing.T) {
	quick := func(c *nodeConfig) { c.limits.handshake = 50 * time.Millisecond }
	a := startNode(t, "a", quick)
	t.Run("accepting", func(t *testing.T) {
		conn := dial(t, a.mux)
		if _, err := conn.Write([]byte(magic + "\x00")); err != nil {
			t.Fatal(err)
		}
		// It is closed, or the test hangs here.
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("half a hello is answered with %d bytes", n)
		}
	})
	t.Run("dialling a paused process", func(t *testing.T) {
		// The kernel accepts for a process that does not.
		paused, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer paused.Close()
		a.book.Set("b", paused.Addr().String())
		var timeout net.Error
		if err := a.heartbeat("b", 1); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("got %v", err)
		}
	})
}

func TestAddressesAreLearntFromHandshakes(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	var unknown *UnknownNodeError
	if err := b.heartbeat("a", 1); !errors.As(err, &unknown) || unknown.Node != "a" {
		t.Fatalf("got %v", err)
	}
	a.knows(b)
	a.serve(t, inTerm(1))
	b.serve(t, inTerm(1))
	if err := a.heartbeat("b", 1); err != nil {
		t.Fatal(err)
	}
	if err := b.heartbeat("a", 1); err != nil {
		t.Errorf("b was dialled by a, but cannot dial it: %v", err)
	}
}

// The seam for TLS: what comes after the magic goes through Wrap at both ends.
func TestWrap(t *testing.T) {
	wrap := func(conn net.Conn, _ bool) net.Conn { return newScrambled(conn) }
	var nodes []*Transport
	books := NewBook(nil, nil)
	for _, id := range []string{"a", "b"} {
		mux := listen(t)
		books.Set(id, mux.Addr().String())
		node, err := New(Options{
			Identity: Identity{ClusterID: "c", NodeID: id, Address: mux.Addr().String()}, Book: books,
			Listener: mux.Raft(), Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
			RaftLog: hclog.NewNullLogger(), Wrap: wrap,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { node.Close() })
		nodes = append(nodes, node)
	}
	b := &testNode{Transport: nodes[1]}
	b.serve(t, inTerm(1))
	if err := (&testNode{Transport: nodes[0]}).heartbeat("b", 1); err != nil {
		t.Error(err)
	}
}

func TestIdentityIsValidated(t *testing.T) {
	_, err := New(Options{})
	for _, fault := range []string{"cluster id", "node id", "address"} {
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%v does not report the %s", err, fault)
		}
	}
}

// scrambled stands for any protocol that changes every byte.
type scrambled struct {
	net.Conn
	in, out cipher.Stream
}

func newScrambled(conn net.Conn) net.Conn {
	in, _ := rc4.NewCipher([]byte("key"))
	out, _ := rc4.NewCipher([]byte("key"))
	return &scrambled{conn, in, out}
}

func (s *scrambled) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	s.in.XORKeyStream(p[:n], p[:n])
	return n, err
}

func (s *scrambled) Write(p []byte) (int, error) {
	scrambled := make([]byte, len(p))
	s.out.XORKeyStream(scrambled, p)
	return s.Conn.Write(scrambled)
}

// syncBuffer is written by loggers of other goroutines.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

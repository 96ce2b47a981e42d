package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"kvorum/node/clock"
)

func listen(t *testing.T) *Mux {
	t.Helper()
	m, err := Listen("127.0.0.1:0", MuxOptions{
		Clock: clock.Real(), Log: slog.New(slog.DiscardHandler), peekLimit: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func dial(t *testing.T, m *Mux) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", m.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// All bytes arrive, wherever the first read ended.
func TestMuxRoutesByFirstBytes(t *testing.T) {
	m := listen(t)
	for _, test := range []struct {
		name string
		sent string
		to   net.Listener
	}{
		{"http/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", m.GRPC()},
		{"one other byte", "x", m.GRPC()},
		{"part of the magic", "KVRA", m.GRPC()},
		{"another version", "KVRAFT02....", m.GRPC()},
		{"raft", magic + "hello", m.Raft()},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := dial(t, m)
			if _, err := client.Write([]byte(test.sent)); err != nil {
				t.Fatal(err)
			}
			server := accept(t, test.to)
			client.(*net.TCPConn).CloseWrite()
			got, err := io.ReadAll(server)
			if string(got) != test.sent || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestMuxTakesSilenceForGRPC(t *testing.T) {
	m := listen(t)
	silent := dial(t, m)
	// Another one is not held up by it.
	other := dial(t, m)
	if _, err := other.Write([]byte(magic)); err != nil {
		t.Fatal(err)
	}
	accept(t, m.Raft())
	server := accept(t, m.GRPC())
	if _, err := silent.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(server, got); err != nil || string(got) != "late" {
		t.Errorf("got %q, %v: the deadline of the peek must be gone", got, err)
	}
}

func TestMuxCloseEndsEverything(t *testing.T) {
	m := listen(t)
	undecided, unaccepted := dial(t, m), dial(t, m)
	if _, err := unaccepted.Write([]byte(magic)); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, l := range []net.Listener{m.GRPC(), m.Raft()} {
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v", err)
		}
	}
	for _, conn := range []net.Conn{undecided, unaccepted} {
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("a connection that nobody accepted is open")
		}
	}
}

func TestMuxClosingOneBranchLeavesTheOther(t *testing.T) {
	m := listen(t)
	m.GRPC().Close()
	rejected := dial(t, m)
	if _, err := rejected.Write([]byte("PRI")); err != nil {
		t.Fatal(err)
	}
	if _, err := rejected.Read(make([]byte, 1)); err == nil {
		t.Error("gRPC is closed, but a connection to it is open")
	}
	client := dial(t, m)
	if _, err := client.Write([]byte(magic)); err != nil {
		t.Fatal(err)
	}
	accept(t, m.Raft())
}

func TestMuxBoundsWaitingRaftConnections(t *testing.T) {
	m := listen(t)
	closed := make(chan error, 1)
	for range maxWaiting + 1 {
		conn := dial(t, m)
		if _, err := conn.Write([]byte(magic)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := conn.Read(make([]byte, 1))
			select {
			case closed <- err:
			default:
			}
		}()
	}
	if err := <-closed; err == nil {
		t.Error("one too many was kept")
	}
}

func TestMuxCarriesGRPC(t *testing.T) {
	m := listen(t)
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- server.Serve(m.GRPC()) }()
	client, err := grpc.NewClient(m.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := healthpb.NewHealthClient(client).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil || reply.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v", reply, err)
	}
	client.Close()
	server.Stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

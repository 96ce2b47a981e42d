package server

import (
	"net"
	"testing"

	"kvorum/node/replica"
)

// serveOn serves the bench's node on a port as well, and gives its address.
func (b *bench) serveOn(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(listener) }()
	t.Cleanup(func() {
		b.server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestALeaderIsAskedForAReadIndex(t *testing.T) {
	b := start(t, nil)
	b.node.index = 7
	leader := replica.Peer{ID: "n", Address: b.serveOn(t)}
	asker := NewIndexAsker(&net.Dialer{}, "c", 7)
	defer asker.Close()
	for range 2 {
		if index, err := asker.Ask(b.ctx, leader); err != nil || index != 7 {
			t.Fatalf("got %d %v", index, err)
		}
	}
	// Somebody else at the address is not taken for the leader, and is no reason to give up for good.
	for _, stranger := range []struct {
		cluster string
		shard   uint32
		id      string
	}{{"other", 7, "n"}, {"c", 8, "n"}, {"c", 7, "other"}} {
		asker := NewIndexAsker(&net.Dialer{}, stranger.cluster, stranger.shard)
		if index, err := asker.Ask(b.ctx, replica.Peer{ID: stranger.id, Address: leader.Address}); err == nil {
			t.Errorf("%+v: got %d", stranger, index)
		}
		asker.Close()
	}
	if _, err := asker.Ask(b.ctx, replica.Peer{ID: "gone", Address: "127.0.0.1:1"}); err == nil {
		t.Error("nobody answered")
	}
	if index, err := asker.Ask(b.ctx, leader); err != nil || index != 7 {
		t.Fatalf("got %d %v", index, err)
	}
}

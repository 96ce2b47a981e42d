package server

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

func (n *fakeNode) RaiseFormat(_ context.Context, format uint32, _ time.Time) *kverr.Error {
	_, err := n.changed("raise", uint64(format))
	return err
}

func TestRaiseFormatIsPassedOn(t *testing.T) {
	b := start(t, nil)
	if _, err := b.admin.RaiseFormat(b.ctx, &nodev1.RaiseFormatRequest{Format: 2}); err != nil || b.node.changes[0] != "raise if 2" {
		t.Fatalf("got %q %v", b.node.changes, err)
	}
	if _, err := b.admin.RaiseFormat(b.ctx, &nodev1.RaiseFormatRequest{}); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("got %v", err)
	}
}

func TestANodeIsAskedWhichFormatsItKnows(t *testing.T) {
	b := start(t, nil)
	address := listen(t, b.server)
	ask := FormatAsker(&net.Dialer{}, "c", 7)
	for told, want := range map[uint32]uint32{0: 1, 1: 1, 2: 2} {
		b.node.mu.Lock()
		b.node.status = &nodev1.NodeStatus{NodeId: "n", FormatMax: told}
		b.node.mu.Unlock()
		if known, err := ask(b.ctx, replica.Peer{ID: "n", Address: address}); err != nil || known != want {
			t.Fatalf("told %d: %d %v", told, known, err)
		}
	}
	for name, wrong := range map[string]func() (uint32, error){
		"node": func() (uint32, error) { return ask(b.ctx, replica.Peer{ID: "m", Address: address}) },
		"cluster": func() (uint32, error) {
			return FormatAsker(&net.Dialer{}, "d", 7)(b.ctx, replica.Peer{ID: "n", Address: address})
		},
		"shard": func() (uint32, error) {
			return FormatAsker(&net.Dialer{}, "c", 8)(b.ctx, replica.Peer{ID: "n", Address: address})
		},
	} {
		if known, err := wrong(); err == nil {
			t.Errorf("another %s answered %d", name, known)
		}
	}
}

package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"reflect"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"kvorum/node/clock"
	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	kvorumv1 "kvorum/node/gen/kvorum/v1"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
	"kvorum/node/replica"

	pb "kvorum/node/gen/errors"
)

func TestWatchPushesChangesButNotIndices(t *testing.T) {
	b := start(t, nil)
	stream, err := b.admin.Watch(b.ctx, &nodev1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []*nodev1.NodeStatus{
		{NodeId: "n"},
		{NodeId: "n", Term: 2, CommitIndex: 9},
		{NodeId: "n", Term: 2, CommitIndex: 10}, // not sent
		{NodeId: "n", Term: 2, Role: nodev1.Role_ROLE_LEADER, CommitIndex: 11},
	} {
		b.node.mu.Lock()
		b.node.status = next
		b.node.mu.Unlock()
		b.node.signal.Raise()
		if next.CommitIndex == 10 {
			continue
		}
		for {
			got, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if got.Status.CommitIndex == 10 {
				t.Fatal("an index alone was pushed")
			}
			if got.Status.Term == next.Term && got.Status.Role == next.Role {
				break
			}
		}
	}
}

func TestBootstrapNamesMembersAndPeers(t *testing.T) {
	b := start(t, nil)
	members := []*kvorumv1.Node{{Id: "b", Address: "127.0.0.1:2"}, {Id: "a", Address: "127.0.0.1:1"}}
	if _, err := b.admin.Bootstrap(b.ctx, &nodev1.BootstrapRequest{Members: members}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(b.node.members, []string{"a", "b"}) || len(b.node.peers) != 2 {
		t.Fatalf("got %v and %v", b.node.members, b.node.peers)
	}
	for name, bad := range map[string][]*kvorumv1.Node{
		"nobody": nil, "twice": {members[0], members[0]}, "no address": {{Id: "a"}}, "no id": {{Address: "127.0.0.1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.admin.Bootstrap(b.ctx, &nodev1.BootstrapRequest{Members: bad})
			if status.Code(err) != codes.InvalidArgument {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestAssignPartitionsPassesRangesOn(t *testing.T) {
	b := start(t, nil)
	_, err := b.admin.AssignPartitions(b.ctx, &nodev1.AssignPartitionsRequest{
		Epoch: 4, Owned: []*nodev1.PartitionRange{{First: 0, Last: 3}, {First: 9, Last: 9}},
	})
	if err != nil || b.node.assign.Epoch != 4 || len(b.node.assign.Owned) != 2 || b.node.assign.Owned[1].Last != 9 {
		t.Fatalf("got %v %v", b.node.assign, err)
	}
}

// A seed as a Seeder reads it is the view's stream, byte for byte, whatever the size of the messages.
func TestASeedIsTheViewsStream(t *testing.T) {
	value := make([]byte, 3*seedChunkBytes+17)
	if _, err := rand.Read(value); err != nil {
		t.Fatal(err)
	}
	source := memory.New()
	batch := engine.NewBatch(12)
	batch.Put(engine.Record{Key: []byte("k"), Value: value, Version: 3})
	if err := source.Apply(batch); err != nil {
		t.Fatal(err)
	}
	view, err := source.View()
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if _, err := view.WriteTo(&want); err != nil {
		t.Fatal(err)
	}
	b := start(t, nil)
	b.node.view = view
	address := listen(t, b.server)

	b.node.status = &nodev1.NodeStatus{NodeId: "n", ClusterId: "c", Shard: 7}
	peer := replica.Peer{ID: "n", Address: address}
	stream, err := Seeder(clock.Real(), &net.Dialer{}, "c", 7)(b.ctx, peer, 12)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(stream)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("read %d bytes of %d: %v", len(got), want.Len(), err)
	}
	stream.Close()
	if _, err := Seeder(clock.Real(), &net.Dialer{}, "c", 7)(b.ctx, peer, 13); status.Code(err) != codes.Unavailable {
		t.Fatalf("a view that is too old: %v", err)
	}
	for name, fetch := range map[string]func() (io.ReadCloser, error){
		"another cluster": func() (io.ReadCloser, error) { return Seeder(clock.Real(), &net.Dialer{}, "d", 7)(b.ctx, peer, 12) },
		"another shard":   func() (io.ReadCloser, error) { return Seeder(clock.Real(), &net.Dialer{}, "c", 8)(b.ctx, peer, 12) },
		"another node": func() (io.ReadCloser, error) {
			return Seeder(clock.Real(), &net.Dialer{}, "c", 7)(b.ctx, replica.Peer{ID: "m", Address: address}, 12)
		},
	} {
		if _, err := fetch(); err == nil || kverr.Of(err).Code != pb.ErrorCode_ERROR_CODE_WRONG_PEER {
			t.Fatalf("%s: %v", name, err)
		}
	}
	gone, cancel := context.WithCancel(b.ctx)
	cancel()
	if _, err := Seeder(clock.Real(), &net.Dialer{}, "c", 7)(gone, peer, 1); err == nil {
		t.Fatal("fetched although the caller has gone")
	}
}

// listen serves on a real port too.
func listen(t *testing.T, s *Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := s.Serve(listener); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		s.Stop()
		<-served
	})
	return listener.Addr().String()
}

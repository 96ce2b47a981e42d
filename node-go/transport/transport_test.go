package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestRaftAddressesAreIDs(t *testing.T) {
	a := startNode(t, "a")
	if a.LocalAddr() != "a" || string(a.EncodePeer("b", "b")) != "b" || a.DecodePeer([]byte("b")) != "b" {
		t.Errorf("local %q, encoded %q", a.LocalAddr(), a.EncodePeer("b", "b"))
	}
}

// The pipeline can wedge a follower for good; with one call in flight Raft does without it.
func TestPipelineIsNotSupported(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	if _, err := a.AppendEntriesPipeline("b", "b"); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
		t.Errorf("got %v", err)
	}
}

func TestPeerIsGoneWhenItsLastConnectionCloses(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	gone := make(chan raft.ServerID, 10)
	b.OnPeerGone(func(id raft.ServerID) { gone <- id })
	a.knows(b)
	a.serve(t, inTerm(1))
	b.serve(t, inTerm(1))
	// b has an idle connection to a, too. Nobody reads from it.
	for _, err := range []error{a.heartbeat("b", 1), b.heartbeat("a", 1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	hold := make(chan struct{})
	two, done := make(chan struct{}), make(chan error, 1)
	b.SetHeartbeatHandler(func(call raft.RPC) {
		close(two)
		<-hold
		inTerm(1)(call)
	})
	go func() { done <- a.heartbeat("b", 1) }()
	await(t, "the second call", two)
	b.SetHeartbeatHandler(nil)
	if err := a.heartbeat("b", 1); err != nil {
		t.Fatal(err)
	}
	// Two connections from a are open now; that one closes must not count.
	a.CloseStreams()
	close(hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	select {
	case id := <-gone:
		t.Fatalf("%s is gone with a connection left", id)
	default:
	}
	a.kill()
	select {
	case id := <-gone:
		if id != "a" {
			t.Errorf("%s is gone", id)
		}
	case <-time.After(patience):
		t.Fatal("nobody noticed")
	}
}

func TestRefused(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	ctx := context.Background()
	if a.Refused(ctx, "b") {
		t.Error("a process that listens refuses")
	}
	if a.Refused(ctx, "nobody") {
		t.Error("an unknown address refuses")
	}
	paused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer paused.Close()
	a.book.Set("paused", paused.Addr().String())
	if a.Refused(ctx, "paused") {
		t.Error("a paused process refuses, although its kernel accepts")
	}
	b.kill()
	if !a.Refused(ctx, "b") {
		t.Error("a process that is gone does not refuse")
	}
}

func TestCampaignNow(t *testing.T) {
	a := startNode(t, "a", func(c *nodeConfig) { c.limits.order = 50 * time.Millisecond })
	if err := a.CampaignNow(); !errors.Is(err, ErrBusy) {
		t.Errorf("nobody takes the order: %v", err)
	}
	got := make(chan *raft.TimeoutNowRequest, 1)
	a.serve(t, func(call raft.RPC) {
		order, _ := call.Command.(*raft.TimeoutNowRequest)
		got <- order
		call.Respond(&raft.TimeoutNowResponse{}, nil)
	})
	if err := a.CampaignNow(); err != nil {
		t.Fatal(err)
	}
	if order := <-got; order == nil || string(order.ID) != "a" || order.ProtocolVersion != raft.ProtocolVersionMax {
		t.Errorf("got %+v", order)
	}
	a.Close()
	if err := a.CampaignNow(); err == nil {
		t.Error("a closed transport delivers")
	}
}

// A paused successor must not keep the leader from taking writes.
func TestHandoverToASilentPeerEndsSoon(t *testing.T) {
	a := startNode(t, "a", func(c *nodeConfig) { c.limits.handover = 20 * time.Millisecond })
	b := startNode(t, "b")
	a.knows(b)
	// Nobody takes b's calls.
	err := a.TimeoutNow("b", "b", &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{})
	if !errors.Is(err, ErrPeerSilent) {
		t.Errorf("got %v", err)
	}
}

func TestCloseEndsCallsUnderWay(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	taken, done := make(chan struct{}), make(chan error, 1)
	b.serve(t, func(raft.RPC) { close(taken) })
	go func() { done <- a.heartbeat("b", 1) }()
	await(t, "the call", taken)
	a.Close()
	select {
	case err := <-done:
		if err == nil {
			t.Error("answered by nobody")
		}
	case <-time.After(patience):
		t.Fatal("the call goes on")
	}
	a.Close()
	if err := a.TimeoutNow("b", "b", &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// A snapshot whose sender is paused must not block the receiver's main loop, which could not vote then.
func TestSnapshotThatStandsStillIsGivenUp(t *testing.T) {
	impatient := func(c *nodeConfig) { c.limits.progress = 50 * time.Millisecond }
	a, b := startNode(t, "a"), startNode(t, "b", impatient)
	a.knows(b)
	read := make(chan error, 1)
	b.serve(t, func(call raft.RPC) {
		_, err := io.Copy(io.Discard, call.Reader)
		read <- err
		call.Respond(&raft.InstallSnapshotResponse{}, err)
	})
	stuck := &stuckReader{sent: bytes.NewReader(make([]byte, 1<<20)), release: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		done <- a.InstallSnapshot("b", "b", &raft.InstallSnapshotRequest{Size: 2 << 20}, &raft.InstallSnapshotResponse{}, stuck)
	}()
	select {
	case err := <-read:
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("the receiver got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the receiver waits for ever")
	}
	close(stuck.release)
	if err := <-done; err == nil {
		t.Error("the sender believes that it was received")
	}
}

// A snapshot that makes progress may take longer than any limit of a single step.
func TestSlowSnapshotArrives(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	const size = 3 << 20
	b.serve(t, func(call raft.RPC) {
		n, err := io.Copy(io.Discard, call.Reader)
		call.Respond(&raft.InstallSnapshotResponse{Success: n == size}, err)
	})
	var response raft.InstallSnapshotResponse
	err := a.InstallSnapshot("b", "b", &raft.InstallSnapshotRequest{Size: size}, &response, bytes.NewReader(make([]byte, size)))
	if err != nil || !response.Success {
		t.Errorf("success %v, %v", response.Success, err)
	}
}

type stuckReader struct {
	sent    io.Reader
	release chan struct{}
}

func (r *stuckReader) Read(p []byte) (int, error) {
	n, err := r.sent.Read(p)
	if errors.Is(err, io.EOF) {
		<-r.release
	}
	return n, err
}

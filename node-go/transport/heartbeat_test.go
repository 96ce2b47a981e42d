package transport

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestAHeartbeatIsLikeRafts(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	asked := make(chan raft.AppendEntriesRequest, 1)
	b.SetHeartbeatHandler(func(call raft.RPC) {
		asked <- *call.Command.(*raft.AppendEntriesRequest)
		inTerm(7)(call)
	})
	before := a.clock.Now()
	done := make(chan bool, 1)
	sent := a.Heartbeat("b", 7, func(err error) {
		done <- err == nil && a.AckedSince(7, before, []raft.ServerID{"a", "b", "c"}, "a")
	})
	if !sent {
		t.Fatal("not sent")
	}
	select {
	case acknowledged := <-done:
		if !acknowledged {
			t.Error("it ended without an acknowledgement")
		}
	case <-time.After(patience):
		t.Fatal("it did not end")
	}
	got := <-asked
	if !isHeartbeat(&got) || got.Term != 7 || string(got.ID) != "a" || string(got.Addr) != "a" ||
		got.ProtocolVersion != raft.ProtocolVersionMax {
		t.Errorf("sent %+v", got)
	}
}

func TestAHeartbeatHearsOfANewerTerm(t *testing.T) {
	a, b := startNode(t, "a"), startNode(t, "b")
	a.knows(b)
	b.SetHeartbeatHandler(inTerm(8))
	done := make(chan error, 1)
	a.Heartbeat("b", 7, func(err error) { done <- err })
	if err := <-done; !errors.Is(err, ErrDeposed) {
		t.Errorf("got %v", err)
	}
}

func TestAHeartbeatThatFailsSaysSo(t *testing.T) {
	a := startNode(t, "a")
	done := make(chan error, 1)
	if !a.Heartbeat("nobody", 7, func(err error) { done <- err }) {
		t.Fatal("not sent")
	}
	if err := <-done; err == nil {
		t.Error("nobody answered")
	}
	a.Close()
	if a.Heartbeat("nobody", 7, func(error) { t.Error("called") }) {
		t.Error("sent by a transport that is closed")
	}
}

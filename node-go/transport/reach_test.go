package transport

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	"kvorum/node/clock/clocktest"
)

func TestReachHoldsBackUntilHeardOf(t *testing.T) {
	manual := clocktest.New()
	closed := make(chan struct{})
	r := newReach(manual, defaultLimits().hold, closed)
	held := func(wake func()) {
		t.Helper()
		r.failed("b")
		r.failed("b")
		done := make(chan struct{})
		go func() {
			r.await("b")
			close(done)
		}()
		manual.AwaitTimers(1)
		select {
		case <-done:
			t.Error("not held back")
		default:
		}
		wake()
		await(t, "the peer", done)
	}
	r.await("b")
	held(func() { r.heard("b") })
	r.await("b")
	held(func() { manual.Advance(defaultLimits().hold) })
	held(func() { close(closed) })
}

// After its return a follower gets entries as soon as a heartbeat has reached it, however often Raft had failed.
func TestReplicationGoesOnWithTheFirstHeartbeat(t *testing.T) {
	held := make(chan struct{}, 1)
	a := startNode(t, "a", func(c *nodeConfig) { c.clock = signalClock{c.clock, held} })
	b := startNode(t, "b")
	address := b.mux.Addr().String()
	b.kill()
	a.book.Set("b", address)
	entries := &raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 1}
	replicate := func() error { return a.AppendEntries("b", "b", entries, &raft.AppendEntriesResponse{}) }
	if err := replicate(); err == nil {
		t.Fatal("b is gone")
	}
	if err := a.heartbeat("b", 1); err == nil {
		t.Fatal("b is gone")
	}
	done := make(chan error, 1)
	go func() { done <- replicate() }()
	await(t, "replication to be held back", held)
	back := startNode(t, "b")
	a.knows(back)
	back.serve(t, inTerm(1))
	if err := a.heartbeat("b", 1); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// signalClock tells when a timer is started.
type signalClock struct {
	clock.Clock
	started chan<- struct{}
}

func (c signalClock) NewTimer(d time.Duration) clock.Timer {
	select {
	case c.started <- struct{}{}:
	default:
	}
	return c.Clock.NewTimer(d)
}

package watch

import (
	"testing"

	"go.uber.org/goleak"

	"kvorum/node/clock"
	"kvorum/node/fsm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWatchersAreWoken(t *testing.T) {
	hub := NewHub(1<<20, clock.Real())
	defer hub.Close()
	hub.Begin(1, &Holdings{})
	defer hub.Enter()()
	for index := uint64(2); index < 20; index++ {
		changed := hub.Changed()
		hub.Observe(index, []fsm.Change{putOf("a", index, 1)})
		<-changed
	}
	events, _, err := hub.Read(after(1), all, 1<<20)
	if err != nil || len(events) != 18 {
		t.Fatalf("%d events, %v", len(events), err)
	}
}

// TestAWriterNeverWaits: nobody reads, and nobody wakes whoever does not come.
func TestAWriterNeverWaits(t *testing.T) {
	hub := NewHub(1000, clock.Real())
	defer hub.Enter()()
	hub.Begin(0, &Holdings{})
	hub.Close()
	for index := uint64(1); index < 1000; index++ {
		hub.Observe(index, []fsm.Change{putOf("a", index, 500)})
	}
	if tail, begun := hub.Tail(); !begun || tail != after(999) {
		t.Fatalf("the tail is %v", tail)
	}
}

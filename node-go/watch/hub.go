package watch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"kvorum/node/clock"
	"kvorum/node/fsm"
)

// gather is how long news may wait when there was some just before: waking a thousand watchers for each entry would be most of
// what a node does.
const gather = 2 * time.Millisecond

// Hub is a ring and those who watch it. Whoever writes wakes one goroutine at most, which wakes the watchers.
type Hub struct {
	*Ring
	clock clock.Clock
	// watchers that are there: without any there is nobody to wake.
	watchers atomic.Int32
	news     chan struct{}

	mu   sync.Mutex
	next chan struct{}

	stop context.CancelFunc
	done chan struct{}
}

var _ fsm.Observer = (*Hub)(nil)

// NewHub keeps changes of `bytes` in all. The caller closes it, after the state machine.
func NewHub(bytes int, c clock.Clock) *Hub {
	ctx, stop := context.WithCancel(context.Background())
	h := &Hub{
		Ring: NewRing(bytes), clock: c, news: make(chan struct{}, 1), next: make(chan struct{}),
		stop: stop, done: make(chan struct{}),
	}
	go h.run(ctx)
	return h
}

// Begin is that of the ring.
func (h *Hub) Begin(applied uint64, holdings *Holdings) {
	h.Ring.Begin(applied, holdings)
	h.tell()
}

// Observe is that of the ring.
func (h *Hub) Observe(index uint64, changes []fsm.Change) {
	h.Ring.Observe(index, changes)
	h.tell()
}

func (h *Hub) tell() {
	if h.watchers.Load() == 0 {
		return
	}
	select {
	case h.news <- struct{}{}:
	default:
	}
}

// Enter counts a watcher in; it leaves by the function that it gets. Enter before the first look.
func (h *Hub) Enter() (leave func()) {
	h.watchers.Add(1)
	return func() { h.watchers.Add(-1) }
}

// Changed closes when there is something new. Take it before the ring is read.
func (h *Hub) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next
}

// Close returns when the hub's goroutine has ended.
func (h *Hub) Close() {
	h.stop()
	<-h.done
}

func (h *Hub) run(ctx context.Context) {
	defer close(h.done)
	for {
		select {
		case <-h.news:
		case <-ctx.Done():
			return
		}
		h.wake()
		if clock.Wait(ctx, h.clock, gather) != nil {
			return
		}
	}
}

func (h *Hub) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.next)
	h.next = make(chan struct{})
}

package fsm

import (
	"container/heap"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// progress is a number that only grows, and those who wait for it. Advancing wakes exactly the waiters that are due;
// waiting costs O(log waiters), and nothing when the index has passed already.
type progress struct {
	reached atomic.Uint64
	mu      sync.Mutex
	waiting waiters
}

// advance raises the number to index, if that is higher, and wakes.
func (p *progress) advance(index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if index <= p.reached.Load() {
		return
	}
	p.reached.Store(index)
	for len(p.waiting) > 0 && p.waiting[0].index <= index {
		close(heap.Pop(&p.waiting).(*waiter).due)
	}
}

// wait returns when the number is at least index, or when ctx or stop ends.
func (p *progress) wait(ctx context.Context, index uint64, stop <-chan struct{}) error {
	if p.reached.Load() >= index {
		return nil
	}
	w := p.enter(index)
	if w == nil {
		return nil
	}
	defer p.leave(w)
	select {
	case <-w.due:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait until entry %d is applied (reached %d): %w", index, p.reached.Load(), ctx.Err())
	case <-stop:
		return fmt.Errorf("wait until entry %d is applied (reached %d): %w", index, p.reached.Load(), ErrStopped)
	}
}

// enter returns nil if there is nothing to wait for any more: advance may have come since the caller looked.
func (p *progress) enter(index uint64) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reached.Load() >= index {
		return nil
	}
	w := &waiter{index: index, due: make(chan struct{})}
	heap.Push(&p.waiting, w)
	return w
}

func (p *progress) leave(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.position >= 0 {
		heap.Remove(&p.waiting, w.position)
	}
}

type waiter struct {
	index uint64
	due   chan struct{}
	// position in the heap, -1 once out of it.
	position int
}

// waiters is a heap with the lowest index on top.
type waiters []*waiter

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].index < w[j].index }

func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].position, w[j].position = i, j
}

func (w *waiters) Push(x any) {
	added := x.(*waiter)
	added.position = len(*w)
	*w = append(*w, added)
}

func (w *waiters) Pop() any {
	last := len(*w) - 1
	removed := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	removed.position = -1
	return removed
}

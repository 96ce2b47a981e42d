package server

import (
	"context"
	"sync"
)

// busy counts the messages that are received and not yet answered, and the lanes they come by.
type busy struct {
	mu    sync.Mutex
	count int
	lanes int
	// idle closes when count falls to 0; nil when nobody waits for that.
	idle chan struct{}
}

func newBusy() *busy { return &busy{} }

func (b *busy) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count++
}

func (b *busy) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count--; b.count == 0 && b.idle != nil {
		close(b.idle)
		b.idle = nil
	}
}

// enter counts a lane in, unless there are as many as there may be.
func (b *busy) enter(most int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lanes >= most {
		return false
	}
	b.lanes++
	return true
}

func (b *busy) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lanes--
}

func (b *busy) streams() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lanes
}

// wait returns when nothing is under way, or when ctx ends.
func (b *busy) wait(ctx context.Context) {
	b.mu.Lock()
	if b.count == 0 {
		b.mu.Unlock()
		return
	}
	if b.idle == nil {
		b.idle = make(chan struct{})
	}
	idle := b.idle
	b.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

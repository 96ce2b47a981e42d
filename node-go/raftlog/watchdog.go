package raftlog

import (
	"sync"
	"time"

	"kvorum/node/clock"
)

// secondLook is how long a call that is over its limit gets until it counts as stalled. A process that was stopped
// (SIGSTOP, a paused virtual machine) finds its timers overdue when it goes on, but its call returns within this.
const secondLook = 500 * time.Millisecond

// watchdog tells when a call that writes to the disk does not return. A leader with a stalled disk would otherwise stay
// leader, since its heartbeats need no disk, and commit nothing (hashicorp/raft#503, #614).
type watchdog struct {
	clock   clock.Clock
	limit   time.Duration
	once    sync.Once
	onStall func(*StallError)
}

// watch begins to watch a call; the returned function ends it.
func (w *watchdog) watch(op string) (done func()) {
	c := &watchedCall{dog: w, op: op}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = w.clock.AfterFunc(w.limit, c.lookAgain)
	return c.done
}

type watchedCall struct {
	dog *watchdog
	op  string

	mu    sync.Mutex
	timer clock.Timer
	ended bool
}

func (c *watchedCall) lookAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.timer = c.dog.clock.AfterFunc(secondLook, c.stalled)
	}
}

func (c *watchedCall) stalled() {
	c.mu.Lock()
	ended := c.ended
	c.mu.Unlock()
	if !ended {
		c.dog.once.Do(func() { c.dog.onStall(&StallError{Op: c.op, After: c.dog.limit + secondLook}) })
	}
}

func (c *watchedCall) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.timer.Stop()
}

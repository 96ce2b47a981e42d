// Package stall tells when the disk does not answer. A leader with a stalled disk would otherwise stay leader, since its
// heartbeats need no disk, and commit or apply nothing (hashicorp/raft#503, #614).
package stall

import (
	"fmt"
	"sync"
	"time"

	"kvorum/node/clock"
)

// secondLook is how long a call that is over its limit gets until it counts as stalled. A process that was stopped
// (SIGSTOP, a paused virtual machine) finds its timers overdue when it goes on, but its call returns within this.
const secondLook = 500 * time.Millisecond

// DefaultLimit is far above the slowest fsync of a disk that works, and below what clients bear.
const DefaultLimit = 2 * time.Second

// Error says that the disk has not answered for too long.
type Error struct {
	Op    string
	After time.Duration
}

func (e *Error) Error() string { return fmt.Sprintf("%s has not returned after %s", e.Op, e.After) }

// Watchdog tells when a call that writes to the disk does not return. Safe for concurrent use.
type Watchdog struct {
	clock   clock.Clock
	limit   time.Duration
	once    sync.Once
	onStall func(*Error)
}

// New makes a watchdog; a limit of 0 is the default. onStall is called at most once, on a goroutine of its own.
func New(c clock.Clock, limit time.Duration, onStall func(*Error)) *Watchdog {
	if limit == 0 {
		limit = DefaultLimit
	}
	return &Watchdog{clock: c, limit: limit, onStall: onStall}
}

// Watch begins to watch a call that may take the limit, and extra for what it has to write; the returned function ends it.
func (w *Watchdog) Watch(op string, extra time.Duration) (done func()) {
	c := &watchedCall{dog: w, op: op, limit: w.limit + extra}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = w.clock.AfterFunc(c.limit, c.lookAgain)
	return c.done
}

type watchedCall struct {
	dog   *Watchdog
	op    string
	limit time.Duration

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
		c.dog.once.Do(func() { c.dog.onStall(&Error{Op: c.op, After: c.limit + secondLook}) })
	}
}

func (c *watchedCall) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.timer.Stop()
}

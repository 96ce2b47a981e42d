// Package clocktest is the clock that only a test moves.
package clocktest

import (
	"sync"
	"time"

	"kvorum/node/clock"
)

// Manual stands still until Advance. Safe for concurrent use.
type Manual struct {
	mu      sync.Mutex
	changed *sync.Cond
	now     time.Time
	started uint64 // timers so far
	running map[*timer]struct{}
}

var _ clock.Clock = (*Manual)(nil)

// New starts at a fixed moment, the same in every run.
func New() *Manual {
	m := &Manual{now: time.Unix(1_700_000_000, 0).UTC(), running: map[*timer]struct{}{}}
	m.changed = sync.NewCond(&m.mu)
	return m
}

func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *Manual) Since(t time.Time) time.Duration { return m.Now().Sub(t) }

func (m *Manual) NewTimer(d time.Duration) clock.Timer {
	return m.start(d, &timer{clock: m, channel: make(chan time.Time, 1)})
}

func (m *Manual) AfterFunc(d time.Duration, f func()) clock.Timer {
	return m.start(d, &timer{clock: m, call: f})
}

// Advance moves the clock on by d and fires, in their order, the timers that fall due. Each fires at its own time: Now
// seen by a timer's channel is when it was due. Functions of AfterFunc run on their own goroutines and may outlive Advance.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	end := m.now.Add(d)
	for {
		next := m.nextDue(end)
		if next == nil {
			break
		}
		if next.due.After(m.now) {
			m.now = next.due
		}
		next.fire(m.now)
	}
	m.now = end
}

// AwaitTimers blocks until at least n timers run: the way to know that the code under test has got to its wait.
func (m *Manual) AwaitTimers(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.running) < n {
		m.changed.Wait()
	}
}

func (m *Manual) start(d time.Duration, t *timer) clock.Timer {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.startLocked(d)
	return t
}

func (m *Manual) nextDue(end time.Time) *timer {
	var next *timer
	for t := range m.running {
		if t.due.After(end) {
			continue
		}
		if next == nil || t.due.Before(next.due) || t.due.Equal(next.due) && t.number < next.number {
			next = t
		}
	}
	return next
}

type timer struct {
	clock   *Manual
	due     time.Time
	number  uint64 // timers of one moment fire in the order in which they were started
	channel chan time.Time
	call    func()
}

func (t *timer) C() <-chan time.Time { return t.channel }

func (t *timer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.stopLocked()
}

func (t *timer) Reset(d time.Duration) bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	running := t.stopLocked()
	t.startLocked(d)
	return running
}

func (t *timer) startLocked(d time.Duration) {
	t.clock.started++
	t.due, t.number = t.clock.now.Add(d), t.clock.started
	if d <= 0 {
		t.fire(t.clock.now)
		return
	}
	t.clock.running[t] = struct{}{}
	t.clock.changed.Broadcast()
}

// stopLocked also empties the channel, as time.Timer has done since Go 1.23.
func (t *timer) stopLocked() bool {
	_, running := t.clock.running[t]
	delete(t.clock.running, t)
	select {
	case <-t.channel:
	default:
	}
	return running
}

func (t *timer) fire(now time.Time) {
	delete(t.clock.running, t)
	if t.call != nil {
		go t.call()
		return
	}
	t.channel <- now
}

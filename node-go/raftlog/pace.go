package raftlog

import (
	"slices"
	"sync"
	"time"

	"kvorum/node/clock"
)

const (
	// paceWindow is how many appends the median is of, and how many it needs: a few outliers do not move it, and a node that
	// writes once a second is known within seconds.
	paceWindow = 16
	// paceEvery is how often the median is told anew at most. Whoever watches is woken each time.
	paceEvery = time.Second
	// paceIdle is for how long nothing may be appended until nothing is known.
	paceIdle = 30 * time.Second
	// paceFloor is what any disk may take: below it no difference is worth being told.
	paceFloor = 5 * time.Millisecond
)

// pace measures how long appends take. A disk that is slower than others costs every write of a shard that is led on it,
// long before the watchdog minds. Safe for concurrent use.
type pace struct {
	clock clock.Clock
	// changed is called without locks of the pace, on the goroutine that appended or on one of its own.
	changed func()

	mu     sync.Mutex
	last   [paceWindow]time.Duration
	count  int
	newest time.Time
	looked time.Time
	told   time.Duration
	// idle runs while told is not 0.
	idle   clock.Timer
	closed bool
}

// now is the median that was told last; 0: unremarkable, or not known.
func (p *pace) now() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

// took notes an append.
func (p *pace) took(d time.Duration) {
	if p.note(p.clock.Now(), d) {
		p.changed()
	}
}

func (p *pace) note(now time.Time, d time.Duration) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[p.count%paceWindow] = d
	p.count++
	p.newest = now
	if p.closed || p.count < paceWindow || now.Sub(p.looked) < paceEvery {
		return false
	}
	p.looked = now
	return p.tell(p.median())
}

func (p *pace) median() time.Duration {
	sorted := p.last
	slices.Sort(sorted[:])
	return sorted[paceWindow/2]
}

// tell changes what is told if that is worth it. The caller has the lock.
func (p *pace) tell(median time.Duration) (changed bool) {
	if median < paceFloor {
		median = 0
	}
	if median == p.told || (median > 0 && (median-p.told).Abs() <= p.told/3) {
		return false
	}
	switch {
	case median == 0:
		p.idle.Stop()
	case p.told == 0:
		p.idle = p.clock.AfterFunc(paceIdle, p.rest)
	}
	p.told = median
	return true
}

// rest forgets what has grown old.
func (p *pace) rest() {
	if p.forget() {
		p.changed()
	}
}

func (p *pace) forget() (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.told == 0 {
		return false
	}
	if left := paceIdle - p.clock.Since(p.newest); left > 0 {
		p.idle = p.clock.AfterFunc(left, p.rest)
		return false
	}
	p.count, p.told = 0, 0
	return true
}

// close ends it: changed is not called by what happens afterwards.
func (p *pace) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.told != 0 {
		p.idle.Stop()
	}
}

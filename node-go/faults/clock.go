package faults

import (
	"time"
	"unsafe"

	"kvorum/node/clock"
)

// Wall is a clock whose wall time jumps as it is ordered, while timers and differences go on as ever: that is what a jump of
// the system's clock does to a process.
func (w *Watch) Wall(base clock.Clock) clock.Clock { return &wall{Clock: base, watch: w} }

type wall struct {
	clock.Clock
	watch *Watch
}

func (c *wall) Now() time.Time {
	orders, _ := c.watch.now()
	return jumped(c.Clock.Now(), orders.ClockSeconds)
}

// Since is Now().Sub(t), also when t has lost its monotonic reading.
func (c *wall) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

const (
	hasMonotonic  = 1 << 63
	nanosecondBit = 30
)

// jumped moves the wall time and leaves the monotonic reading. Package time has no call for that (Add moves both), so it is
// done to its representation: a bit that there is a monotonic reading, 33 bits of seconds, 30 bits of nanoseconds. A test
// holds it against what package time reads out of it.
func jumped(t time.Time, seconds int64) time.Time {
	word := (*uint64)(unsafe.Pointer(&t))
	if *word&hasMonotonic == 0 {
		return t.Add(time.Duration(seconds) * time.Second)
	}
	*word += uint64(seconds) << nanosecondBit
	return t
}

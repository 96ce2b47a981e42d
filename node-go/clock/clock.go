// Package clock is the one room that reads the time and starts timers. Everything else takes a Clock, so that a test
// advances time itself and never sleeps.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and starts timers. Safe for concurrent use.
type Clock interface {
	// Now carries a monotonic reading in the real clock.
	Now() time.Time
	// Since is Now().Sub(t).
	Since(t time.Time) time.Duration
	// NewTimer fires once on C after d. The caller stops it.
	NewTimer(d time.Duration) Timer
	// AfterFunc calls f once after d, on a goroutine of its own. Its C is nil.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a started timer, with the meaning of time.Timer.
type Timer interface {
	C() <-chan time.Time
	// Stop reports whether it prevented the timer from firing.
	Stop() bool
	// Reset starts the timer anew and reports whether it was still running.
	Reset(d time.Duration) bool
}

// Wait returns nil after d, or the context's error as soon as that ends.
func Wait(ctx context.Context, c Clock, d time.Duration) error {
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Elapsed is how much time has passed from one reading of a Clock to another one, with the time in which the machine slept: the
// monotonic clock stands still meanwhile (CLOCK_MONOTONIC on Linux, mach_absolute_time on macOS; a stopped process is no
// sleeping machine), and the wall clock does not. So it is the longer of the two. A wall clock that was set forward makes it
// too long, which one that only refuses what is too old can bear; one that was set back changes nothing.
func Elapsed(from, to time.Time) time.Duration {
	return max(to.Sub(from), to.Round(0).Sub(from.Round(0)))
}

// Real is the clock of the machine.
func Real() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time                  { return time.Now() }
func (realClock) Since(t time.Time) time.Duration { return time.Since(t) }
func (realClock) NewTimer(d time.Duration) Timer  { return realTimer{time.NewTimer(d)} }
func (realClock) AfterFunc(d time.Duration, f func()) Timer {
	return realTimer{time.AfterFunc(d, f)}
}

type realTimer struct{ t *time.Timer }

func (r realTimer) C() <-chan time.Time        { return r.t.C }
func (r realTimer) Stop() bool                 { return r.t.Stop() }
func (r realTimer) Reset(d time.Duration) bool { return r.t.Reset(d) }

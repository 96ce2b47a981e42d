package replica

import (
	"testing"
	"time"

	"kvorum/node/clock/clocktest"
)

func TestLogTimeGoesOnFromWhatWasAppliedByTheMonotonicClock(t *testing.T) {
	clock, applied := clocktest.New(), uint64(1_000)
	l := &logTime{applied: func() uint64 { return applied }, clock: clock}
	l.begin()
	clock.Advance(250 * time.Millisecond)
	applied = 1_200
	if got := l.now(); got != 1_250 {
		t.Fatalf("%d", got)
	}
	// Others have led meanwhile. That nobody did for a while does not count.
	clock.Advance(time.Hour)
	applied = 5_000
	l.begin()
	if got := l.now(); got != 5_000 {
		t.Fatalf("%d", got)
	}
}

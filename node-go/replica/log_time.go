package replica

import (
	"sync"
	"time"

	"kvorum/node/clock"
)

// logTime stamps the entries of a leader: the log time at which its leadership became ready, and how long that has been
// by the monotonic clock. So the time between two entries is never longer in the log than it was in the world, whoever
// led and whatever anybody did to a wall clock. What expires by log time never expires too early.
type logTime struct {
	// applied is the log time of the newest entry that was applied here, in ms.
	applied func() uint64
	clock   clock.Clock

	mu     sync.Mutex
	baseMs uint64
	since  time.Time
}

// begin follows the first entry of a term that is applied here.
func (l *logTime) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.baseMs, l.since = l.applied(), l.clock.Now()
}

// now is the stamp of an entry that is proposed now.
func (l *logTime) now() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.baseMs + uint64(max(0, l.clock.Since(l.since)).Milliseconds())
}

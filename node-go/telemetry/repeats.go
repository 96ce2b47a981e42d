package telemetry

import (
	"fmt"
	"sync"
	"time"

	"kvorum/node/clock"
)

const (
	// repeatQuiet is how long the same message about the same peer stays quiet. Raft writes several lines a second for
	// each peer that is gone.
	repeatQuiet = 10 * time.Second
	// maxRepeats bounds what is remembered; past it everything is forgotten, and written once more.
	maxRepeats = 256
)

// repeats counts lines that say again what was said a moment ago. Safe for concurrent use.
type repeats struct {
	clock clock.Clock

	mu   sync.Mutex
	seen map[string]*repeat
}

type repeat struct {
	written time.Time
	silent  int
}

func newRepeats(c clock.Clock) *repeats { return &repeats{clock: c, seen: map[string]*repeat{}} }

// quiet says whether to leave a line out, and if not, how many were left out before it.
func (r *repeats) quiet(message string, args []any) (quiet bool, leftOut int) {
	key := message + peerOf(args)
	now := r.clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.seen[key]
	if last == nil {
		if len(r.seen) >= maxRepeats {
			clear(r.seen)
		}
		r.seen[key] = &repeat{written: now}
		return false, 0
	}
	if now.Sub(last.written) < repeatQuiet {
		last.silent++
		return true, 0
	}
	leftOut = last.silent
	*last = repeat{written: now}
	return false, leftOut
}

// peerOf finds whom a line is about, by the keys that Raft uses.
func peerOf(args []any) string {
	for i := 0; i+1 < len(args); i += 2 {
		switch args[i] {
		case "peer", "server-id", "target":
			return fmt.Sprint(args[i+1])
		}
	}
	return ""
}

package server

import (
	"sync"
	"time"

	"kvorum/node/clock"
)

// patience is how long a client may leave a large answer unread while others find no room for theirs. A client of ours
// that is stopped for longer loses its stream and sends again what was not answered.
const patience = time.Second

// readers are the lanes of which a large answer is on its way. When there is no room for an answer, those who have let
// theirs wait for long make some: they would hold it until their time-out, and nobody could read meanwhile.
type readers struct {
	clock clock.Clock

	mu    sync.Mutex
	since map[*lane]time.Time
}

func newReaders(clock clock.Clock) *readers {
	return &readers{clock: clock, since: make(map[*lane]time.Time)}
}

// wait notes that an answer of the lane is on its way. A lane sends one at a time.
func (r *readers) wait(l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since[l] = r.clock.Now()
}

func (r *readers) read(l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.since, l)
}

// shed ends the lanes whose clients do not read.
func (r *readers) shed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	for l, since := range r.since {
		if now.Sub(since) >= patience {
			l.cancel(errSlowClient)
		}
	}
}

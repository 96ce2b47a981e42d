package server

import (
	"sync"
	"time"

	"kvorum/node/clock"
)

// patience is how long a client may leave a large answer unread while others find no room for theirs. A client of ours
// that is stopped for longer loses its stream and sends again what was not answered.
const patience = time.Second

// readers are the large answers that are on their way. When there is no room for an answer, those who have let
// theirs wait for long make some: they would hold it until their time-out, and nobody could read meanwhile.
type readers struct {
	clock clock.Clock

	mu      sync.Mutex
	waiting map[*unread]struct{}
}

func newReaders(clock clock.Clock) *readers {
	return &readers{clock: clock, waiting: map[*unread]struct{}{}}
}

// unread is a large answer that the transport has not let go of.
type unread struct {
	lane  *lane
	since time.Time
}

// wait notes that an answer of the lane is on its way, until the function that it returns is called.
func (r *readers) wait(l *lane) (read func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	answer := &unread{lane: l, since: r.clock.Now()}
	r.waiting[answer] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting, answer)
	}
}

// shed ends the lanes whose clients do not read.
func (r *readers) shed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	for answer := range r.waiting {
		if now.Sub(answer.since) >= patience {
			answer.lane.cancel(errSlowClient)
		}
	}
}

package move

import (
	"time"

	"kvorum/node/clock"
)

const (
	// roundBytes and roundTime are what a round may have for the next one, under the freeze, to be short.
	roundBytes = 64 << 10
	roundTime  = 50 * time.Millisecond
	// Each lenientAfter rounds that were more than that, both are doubled, up to lenientMax times: better a longer pause than
	// no end.
	lenientAfter = 16
	lenientMax   = 4
)

// rounds follow how much is left to be copied.
type rounds struct {
	clock clock.Clock
	// caughtUp: everything that was there at the beginning is here, since `since`.
	caughtUp bool
	since    time.Time
	began    time.Time
	bytes    int
	count    int
	// open: something of a round has come, and not its end.
	open bool
}

func (r *rounds) took(n int) {
	r.bytes += n
	r.open = true
}

// quiet says that nothing is due: what comes next has yet to be written.
func (r *rounds) quiet() bool { return r.caughtUp && !r.open }

// end says of the round that has ended whether it was small, and whether there have been too many.
func (r *rounds) end() (small, tooSlow bool) {
	now := r.clock.Now()
	lenience := min(r.count/lenientAfter, lenientMax)
	switch {
	case !r.caughtUp:
		r.caughtUp, r.since = true, now
	case r.bytes < roundBytes<<lenience && now.Sub(r.began) < roundTime<<lenience:
		small = true
	}
	r.began, r.bytes, r.open = now, 0, false
	r.count++
	return small, now.Sub(r.since) > catchUpLimit
}

package move

import (
	"context"
	"time"

	"kvorum/node/clock"
)

// pace holds a flow to a rate. Not safe for concurrent use.
type pace struct {
	clock     clock.Clock
	perSecond uint64
	// next is when what has passed so far is paid for.
	next time.Time
}

// paceBurst is how far a flow may be ahead after a rest.
const paceBurst = 50 * time.Millisecond

// wait lets n bytes pass when it is their turn.
func (p *pace) wait(ctx context.Context, n int) error {
	now := p.clock.Now()
	if earliest := now.Add(-paceBurst); p.next.Before(earliest) {
		p.next = earliest
	}
	due := p.next
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.perSecond) * float64(time.Second)))
	if !due.After(now) {
		return ctx.Err()
	}
	return clock.Wait(ctx, p.clock, due.Sub(now))
}

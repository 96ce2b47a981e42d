package replica

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"kvorum/node/clock"
	"kvorum/node/fsm"
	"kvorum/node/gen/command"
)

const (
	// expireGather is how long the leader lets keys come due before it proposes the next entry for them: so no more than 40
	// entries a second are for keys that come due one after the other.
	expireGather = 25 * time.Millisecond
	// expireRetry follows a failure.
	expireRetry = 100 * time.Millisecond
	// expireLimit is how long an entry may take to commit.
	expireLimit = 10 * time.Second
)

// expirer deletes the keys that are due, and ends the leases that are, for as long as this node leads. It decides nothing: it
// names keys, and the state machine deletes those that are due by the entry's own stamp. One of its entries is under way at a time, and after each it rests for
// as long as that one took, so that clients have at least half of the log; where they wait in a queue, it waits behind them.
type expirer struct {
	due     func(nowMs uint64) (fsm.Due, error)
	now     func() uint64
	propose func(ctx context.Context, c *command.Command, deadline time.Time) fsm.Result
	clock   clock.Clock
	log     *slog.Logger

	// alone keeps that of the next leadership waiting until this one has returned: they would take each other's alarm.
	alone sync.Mutex
}

// run returns when ctx ends, which is when the leadership does.
func (e *expirer) run(ctx context.Context) {
	e.alone.Lock()
	defer e.alone.Unlock()
	for ctx.Err() == nil {
		now := e.now()
		due, err := e.due(now)
		switch {
		case err != nil:
			e.log.Warn("cannot look for keys that are due", "error", err)
			e.rest(ctx, expireRetry)
		case len(due.Keys) == 0 && !due.Leases:
			e.await(ctx, due, now)
		default:
			e.rest(ctx, e.expire(ctx, due, now))
		}
	}
}

// await waits until something is due.
func (e *expirer) await(ctx context.Context, due fsm.Due, now uint64) {
	var next <-chan time.Time
	if due.Next > 0 {
		timer := e.clock.NewTimer(time.Duration(due.Next-now) * time.Millisecond)
		defer timer.Stop()
		next = timer.C()
	}
	select {
	case <-next:
	case <-due.Sooner:
	case <-ctx.Done():
	}
}

// expire proposes what is due, and says how long to rest then.
func (e *expirer) expire(ctx context.Context, due fsm.Due, now uint64) time.Duration {
	began := e.clock.Now()
	c := &command.Command{Kind: &command.Command_Expire{Expire: &command.Expire{Keys: due.Keys, Leases: due.Leases}}}
	if err := e.propose(ctx, c, began.Add(expireLimit)).Err; err != nil {
		if ctx.Err() == nil {
			e.log.Warn("what is due was not deleted", "keys", len(due.Keys), "leases", due.Leases, "error", err)
		}
		return expireRetry
	}
	took := e.clock.Since(began)
	if due.Next > 0 && due.Next <= now {
		return took
	}
	return max(took, expireGather)
}

// rest ends early with ctx, which ends the loop too.
func (e *expirer) rest(ctx context.Context, d time.Duration) { _ = clock.Wait(ctx, e.clock, d) }

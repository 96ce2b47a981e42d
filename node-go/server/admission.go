package server

import (
	"sync"
	"time"

	"kvorum/node/clock"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
	"kvorum/node/replica"
)

// admit takes the bytes of a message that is not decoded yet, or says why it is not taken.
func (o Options) admit(said outline) (*replica.Hold, *kverr.Error) {
	if said.size > o.Limits.MaxMessageBytes && said.operations > 1 {
		return nil, kverr.NotApplied(pb.ErrorCode_ERROR_CODE_TOO_LARGE,
			"the message has %d bytes, the limit is %d unless it holds one operation", said.size, o.Limits.MaxMessageBytes)
	}
	if said.writes > 0 {
		// A replica that is not there says so itself, later.
		if target, err := o.Node.Replica(); err == nil {
			if full := target.Full(); full != nil {
				return nil, full
			}
		}
	}
	hold := o.Budget.Reserve(said.weight())
	if hold == nil {
		return nil, replica.Overloaded("the node holds as many bytes as it may", 0)
	}
	return hold, nil
}

// toll keeps a node that is overloaded at its work. To refuse is cheap but not free, and whoever sends without waiting
// for answers can send refusals' worth of work faster than any node works. So the stream whose message was refused is
// not read for a while: as long as it takes until refusing, over all streams, has used no more than its share of the
// time, but no longer than its own part of that takes. What is not read stays with its sender (HTTP/2 flow control). The
// answer itself goes out at once.
type toll struct {
	clock clock.Clock

	mu sync.Mutex
	// resting counts the streams that are not read now.
	resting int
	// paid is when everything that was refused so far is worked off.
	paid time.Time
}

const (
	// What it costs to receive, refuse and answer a message, measured roughly: a system call or two at each end, and a
	// result for each operation.
	refuseMessage   = 200 * time.Microsecond
	refuseOperation = 500 * time.Nanosecond
	refuseByte      = 2 * time.Nanosecond
	// refuseRest: for each moment of refusing, so many of other work.
	refuseRest = 6
	// maxToll bounds how long one stream is not read: clients take one that is silent for 300 ms for stalled.
	maxToll = 250 * time.Millisecond
	// maxDebt bounds what those who come later pay for those before them.
	maxDebt = time.Second
)

func newToll(clock clock.Clock) *toll { return &toll{clock: clock} }

// charge says how long the stream of a refused message is not to be read. `rested` is called when that is over.
func (t *toll) charge(said outline) time.Duration {
	cost := refuseMessage + time.Duration(said.operations)*refuseOperation + time.Duration(said.size)*refuseByte
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if t.paid.Before(now) {
		t.paid = now
	}
	t.paid = t.paid.Add(cost * (1 + refuseRest))
	if most := now.Add(maxDebt); t.paid.After(most) {
		t.paid = most
	}
	t.resting++
	return min(t.paid.Sub(now), cost*(1+refuseRest)*time.Duration(t.resting), maxToll)
}

func (t *toll) rested() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resting--
}

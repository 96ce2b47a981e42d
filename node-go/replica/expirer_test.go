package replica

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"kvorum/node/clock/clocktest"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

// expiring is an expirer over a list of keys, by a clock that stands at 1,000 ms of log time.
type expiring struct {
	clock *clocktest.Manual
	since time.Time
	// looked answers each look; sooner wakes.
	looks  chan fsm.Due
	sooner chan struct{}
	// proposed are the keys of each entry, which answers answers.
	proposed chan int
	answers  chan *kverr.Error
	failing  atomic.Bool
	end      context.CancelFunc
	done     chan struct{}
}

func startExpirer(t *testing.T) *expiring {
	t.Helper()
	x := &expiring{
		clock: clocktest.New(), looks: make(chan fsm.Due), sooner: make(chan struct{}),
		proposed: make(chan int), answers: make(chan *kverr.Error), done: make(chan struct{}),
	}
	x.since = x.clock.Now()
	ctx, cancel := context.WithCancel(t.Context())
	x.end = cancel
	e := &expirer{
		due: func(uint64) (fsm.Due, error) {
			if x.failing.Load() {
				return fsm.Due{}, errors.New("no view")
			}
			select {
			case due := <-x.looks:
				due.Sooner = x.sooner
				return due, nil
			case <-ctx.Done():
				return fsm.Due{}, nil
			}
		},
		now: func() uint64 { return 1_000 + uint64(x.clock.Since(x.since).Milliseconds()) },
		propose: func(ctx context.Context, c *command.Command, _ time.Time) fsm.Result {
			x.proposed <- len(c.GetExpire().GetKeys())
			return fsm.Result{Err: <-x.answers}
		},
		clock: x.clock, log: testLog(),
	}
	go func() {
		defer close(x.done)
		e.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-x.done
	})
	return x
}

func dueKeys(n int, next uint64) fsm.Due { return fsm.Due{Keys: make([][]byte, n), Next: next} }

func TestTheExpirerWaitsForTheEarliestKey(t *testing.T) {
	x := startExpirer(t)
	x.looks <- dueKeys(0, 1_200)
	x.clock.AwaitTimers(1)
	x.clock.Advance(199 * time.Millisecond)
	select {
	case x.looks <- dueKeys(1, 0):
		t.Fatal("it looked before anything was due")
	default:
	}
	x.clock.Advance(time.Millisecond)
	x.looks <- dueKeys(3, 0)
	if n := <-x.proposed; n != 3 {
		t.Fatalf("%d keys were proposed", n)
	}
	x.answers <- nil
}

func TestTheExpirerIsWokenByWhatIsDueSooner(t *testing.T) {
	x := startExpirer(t)
	x.looks <- dueKeys(0, 0)
	x.sooner <- struct{}{}
	x.looks <- dueKeys(0, 1_000+10*365*24*60*60*1_000)
	x.clock.AwaitTimers(1)
	x.sooner <- struct{}{}
	x.looks <- dueKeys(1, 0)
	<-x.proposed
	x.answers <- nil
}

// One entry is under way at a time, and what it took clients get as well.
func TestTheExpirerLeavesTheLogToClients(t *testing.T) {
	for name, c := range map[string]struct {
		next uint64
		took time.Duration
		rest time.Duration
	}{
		"more is due":                   {1_000, 80 * time.Millisecond, 80 * time.Millisecond},
		"nothing more is due":           {0, 80 * time.Millisecond, 80 * time.Millisecond},
		"nothing more, and it was fast": {5_000, time.Millisecond, expireGather},
	} {
		t.Run(name, func(t *testing.T) {
			x := startExpirer(t)
			x.looks <- dueKeys(fsm.DueKeysMax, c.next)
			<-x.proposed
			x.clock.Advance(c.took)
			x.answers <- nil
			x.clock.AwaitTimers(1)
			x.clock.Advance(c.rest - time.Millisecond)
			select {
			case x.looks <- dueKeys(1, 0):
				t.Fatal("it did not rest")
			default:
			}
			x.clock.Advance(time.Millisecond)
			x.looks <- dueKeys(1, 0)
			<-x.proposed
			x.answers <- nil
		})
	}
}

func TestTheExpirerTriesAgain(t *testing.T) {
	x := startExpirer(t)
	x.looks <- dueKeys(1, 0)
	<-x.proposed
	x.answers <- kverr.Unknown(pb.ErrorCode_ERROR_CODE_DEADLINE_EXCEEDED, "late")
	x.clock.AwaitTimers(1)
	x.clock.Advance(expireRetry)
	x.looks <- dueKeys(1, 0)
	<-x.proposed
	x.failing.Store(true)
	x.answers <- nil
	x.clock.AwaitTimers(1)
	x.clock.Advance(expireGather)
	x.clock.AwaitTimers(1)
	x.failing.Store(false)
	x.clock.Advance(expireRetry)
	x.looks <- dueKeys(0, 0)
}

// mortals are three replicas of a new shard in the newest format.
func mortals(t *testing.T) *cluster {
	t.Helper()
	var answers atomic.Bool
	answers.Store(true)
	c := beginning(t, &answers, fsmcommand.Format, fsmcommand.Format, fsmcommand.Format)
	c.startFirst(3)
	c.leader().mustAwait("another format", func(s Status) bool { return s.Format == fsmcommand.Format })
	return c
}

func mortal(key string, ttlMs uint64) *command.Write {
	w := put(key, "v")
	w.GetPut().TtlMs = ttlMs
	return w
}

// awaitGone waits until a replica has applied that a key was deleted.
func (n *testNode) awaitGone(key string) {
	n.cluster.t.Helper()
	for {
		index := n.fsm.Applied()
		if _, found, err := n.Get([]byte(key)); err != nil || !found {
			if err != nil {
				n.cluster.t.Fatal(err)
			}
			return
		}
		if err := n.fsm.WaitApplied(n.cluster.ctx, index+1); err != nil {
			n.cluster.t.Fatalf("%q is still there: %v", key, err)
		}
	}
}

// No client writes anything: the expiry brings its own time with it.
func TestKeysExpireOnEveryReplicaAndUnderTheNextLeader(t *testing.T) {
	c := mortals(t)
	leader := c.leader()
	began := time.Now()
	const ttl = 150
	for _, result := range leader.Write(c.ctx, batchOf(mortal("soon", ttl), mortal("later", 600), mortal("never", 10*ttl), put("never", "v")), c.deadline(), nil) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	for _, n := range c.nodes {
		n.awaitGone("soon")
	}
	if lived := time.Since(began); lived < ttl*time.Millisecond {
		t.Fatalf("a key that was to live for %d ms lived for %s", ttl, lived)
	}
	leader.crash()
	next := c.leader(leader)
	next.awaitGone("later")
	if lived := time.Since(began); lived < 600*time.Millisecond {
		t.Fatalf("a key that was to live for 600 ms lived for %s", lived)
	}
	next.mustGet("never", "v")
	if _, err := next.get("soon"); !errors.Is(err, errAbsent) {
		t.Fatalf("back again: %v", err)
	}
}

// TestLateness measures how long after its time a key is gone when KVORUM_EXPIRY_KEYS of them are due within a second.
func TestLateness(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv("KVORUM_EXPIRY_KEYS"))
	if err != nil {
		t.Skip("KVORUM_EXPIRY_KEYS says how many keys")
	}
	c := mortals(t)
	leader := c.leader()
	x, refused := leader.Export(c.ctx, 2, []*command.PartitionRange{{First: 0, Last: 1023}}, c.deadline())
	if refused != nil {
		t.Fatal(refused)
	}
	defer x.Close()
	const lead = 3_000
	for first := 0; first < count; first += 500 {
		var list []*command.Write
		for n := first; n < min(first+500, count); n++ {
			list = append(list, mortal(fmt.Sprintf("key-%06d", n), lead+uint64(n*1_000/count)))
		}
		for _, result := range leader.Write(c.ctx, batchOf(list...), c.deadline(), nil) {
			if result.Err != nil {
				t.Fatal(result.Err)
			}
		}
	}
	due := map[string]uint64{}
	for n := range count {
		key := fmt.Sprintf("key-%06d", n)
		r, _, err := leader.Get([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		due[key] = r.Expiry
	}
	var late []int
	for len(late) < count {
		keys, _, err := x.Changed(c.ctx, true)
		if err != nil {
			t.Fatal(err)
		}
		now := leader.LogTimeMs()
		for key := range keys {
			if _, found, err := leader.Get([]byte(key)); err == nil && !found {
				late = append(late, int(now)-int(due[key]))
			}
		}
	}
	slices.Sort(late)
	t.Logf("%d keys: median %d ms, p99 %d ms, longest %d ms", count, late[count/2], late[count*99/100], late[count-1])
	if late[0] < 0 {
		t.Fatalf("one was %d ms early", -late[0])
	}
}

// Leases that are due are an entry as well, also when no key is.
func TestTheExpirerEndsLeases(t *testing.T) {
	x := startExpirer(t)
	x.looks <- fsm.Due{Leases: true}
	if n := <-x.proposed; n != 0 {
		t.Fatalf("%d keys were named", n)
	}
	x.answers <- nil
}

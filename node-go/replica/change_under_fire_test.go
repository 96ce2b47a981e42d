package replica

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kvorum/node/gen/command"
	"kvorum/node/kverr"
)

/*
Members change while clients append and read, leaders die, and nodes are cut off. A value that only grows says it all: an append that
was acknowledged is at the place that its answer told; one whose outcome is unknown is there once or not at all; and a read
finds a beginning of the final value with everything that was acknowledged before it began.
*/

// tape is a value that clients append to.
type tape struct {
	mu sync.Mutex
	// places are where acknowledged pieces end.
	places map[string]int
	// end is the furthest of them.
	end int
	// reads are what was found.
	reads []string
	// late is a read that found less than had been acknowledged.
	late string
}

func (p *tape) acknowledged(piece string, end int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.places[piece] = end
	p.end = max(p.end, end)
}

func (p *tape) furthest() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end
}

func (p *tape) found(value string, atLeast int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(value) < atLeast {
		p.late = fmt.Sprintf("%d bytes, after %d were acknowledged", len(value), atLeast)
	}
	if len(p.reads) == 0 || len(value) > len(p.reads[len(p.reads)-1]) {
		p.reads = append(p.reads, value)
	}
}

func (p *tape) check(t *testing.T, final string) {
	t.Helper()
	if p.late != "" {
		t.Errorf("a read found %s", p.late)
	}
	for piece, end := range p.places {
		if strings.Count(final, piece) != 1 || end > len(final) || !strings.HasSuffix(final[:end], piece) {
			t.Errorf("%s is not where it was acknowledged, at %d", piece, end)
		}
	}
	for _, read := range p.reads {
		if !strings.HasPrefix(final, read) {
			t.Errorf("a read found what is not there in the end: %q", read)
		}
	}
}

// traffic runs until it is stopped.
type traffic struct {
	tape
	stop    context.CancelFunc
	clients sync.WaitGroup
}

// nodeLocks let a test close a node while clients use the others.
type nodeLocks struct {
	mu   sync.Mutex
	open map[*testNode]*Replica
}

func (l *nodeLocks) set(n *testNode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[n] = n.Replica
}

func (l *nodeLocks) drop(n *testNode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, n)
}

// any is an open node: the leader, if one says so.
func (l *nodeLocks) any() *Replica {
	l.mu.Lock()
	defer l.mu.Unlock()
	var one *Replica
	for _, r := range l.open {
		if one == nil || r.Status().Ready {
			one = r
		}
	}
	return one
}

func startTraffic(c *cluster, nodes *nodeLocks) *traffic {
	ctx, stop := context.WithCancel(c.ctx)
	run := &traffic{tape: tape{places: map[string]int{}}, stop: stop}
	for client := range 3 {
		run.clients.Go(func() {
			// The value is written as a whole with each append.
			pace := time.NewTicker(3 * time.Millisecond)
			defer pace.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-pace.C
				piece := fmt.Sprintf("(%d.%d)", client, i)
				write := &command.Write{Kind: &command.Write_Append{Append: &command.Append{Key: []byte("k"), Value: []byte(piece), Limit: 1 << 20}}}
				if result := nodes.any().Write(ctx, batchOf(write), time.Now().Add(time.Second), nil)[0]; result.Err == nil {
					run.acknowledged(piece, int(result.Length))
				}
			}
		})
	}
	run.clients.Go(func() {
		pace := time.NewTicker(3 * time.Millisecond)
		defer pace.Stop()
		for ctx.Err() == nil {
			<-pace.C
			r, atLeast := nodes.any(), run.furthest()
			if err := r.Confirm(ctx, time.Now().Add(time.Second)); err != nil {
				continue
			}
			if record, found, err := r.Get([]byte("k")); err == nil && found {
				run.found(string(record.Value), atLeast)
			}
		}
	})
	return run
}

func (run *traffic) end() {
	run.stop()
	run.clients.Wait()
}

// more waits until clients have been answered again.
func (run *traffic) more(c *cluster) {
	c.t.Helper()
	from := run.furthest()
	looks := time.NewTicker(time.Millisecond)
	defer looks.Stop()
	for run.furthest() <= from {
		select {
		case <-looks.C:
		case <-c.ctx.Done():
			c.t.Fatalf("the shard stands still: %v", c.statuses())
		}
	}
}

func (c *cluster) statuses() (all []string) {
	for _, n := range c.open() {
		all = append(all, fmt.Sprintf("\n%s: %+v", n.id, n.Status()))
	}
	return all
}

// underFire makes a change while something goes wrong, and asks again until it is made.
func (c *cluster) underFire(chance *rand.Rand, nodes *nodeLocks, change func(*testNode) (uint64, *kverr.Error)) {
	c.t.Helper()
	leader := c.leader()
	restore := c.fault(chance, nodes, leader)
	attempt := func(n *testNode) bool {
		_, err := change(n)
		return err == nil
	}
	if leader.Replica != nil {
		attempt(leader)
	}
	restore()
	for !attempt(c.leader()) {
		if c.ctx.Err() != nil {
			c.t.Fatalf("the change is not made: %v", c.statuses())
		}
	}
}

// fault is undone by what it returns.
func (c *cluster) fault(chance *rand.Rand, nodes *nodeLocks, leader *testNode) (restore func()) {
	crash := func(n *testNode) func() {
		nodes.drop(n)
		n.crash()
		return func() {
			n.open()
			nodes.set(n)
		}
	}
	cut := func(n *testNode) func() {
		c.network.cut(n.id, ids(c.others(n))...)
		return func() { c.network.mend(n.id, ids(c.others(n))...) }
	}
	other := c.others(leader)[chance.IntN(len(c.nodes)-1)]
	switch chance.IntN(5) {
	case 0:
		return crash(leader)
	case 1:
		return crash(other)
	case 2:
		return cut(leader)
	case 3:
		return cut(other)
	default:
		return func() {}
	}
}

func TestMembersChangeUnderFire(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	c := startSome(t, 5, 1, brisk, nil)
	nodes := &nodeLocks{open: map[*testNode]*Replica{}}
	for _, n := range c.nodes {
		nodes.set(n)
	}
	run := startTraffic(c, nodes)
	defer run.end()
	voters := []*testNode{c.nodes[0]}
	for _, size := range []int{3, 5, 3, 1, 3} {
		for len(voters) < size {
			n := c.others(voters[0])[slices.IndexFunc(c.others(voters[0]), func(n *testNode) bool { return !contains(voters, n) })]
			c.underFire(chance, nodes, func(on *testNode) (uint64, *kverr.Error) { return on.add(n, 0) })
			c.underFire(chance, nodes, func(on *testNode) (uint64, *kverr.Error) { return on.promote(n, 0) })
			voters = append(voters, n)
		}
		for len(voters) > size {
			i := chance.IntN(len(voters))
			n := voters[i]
			c.underFire(chance, nodes, func(on *testNode) (uint64, *kverr.Error) { return on.remove(n, 0) })
			voters = slices.Delete(voters, i, i+1)
		}
		c.leader().mustHaveVoters(voters...)
		run.more(c)
	}
	run.end()
	leader := c.leader()
	final, err := leader.get("k")
	if err != nil {
		t.Fatal(err)
	}
	run.check(t, final)
	t.Logf("%d appends, %d reads", len(run.places), len(run.reads))
}

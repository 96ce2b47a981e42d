package replica

import (
	"context"
	"errors"
	"testing"
	"time"

	pb "kvorum/node/gen/errors"
	"kvorum/node/kverr"
)

var errAway = errors.New("nobody answers")

// knowing are nodes that know so many formats each, and tell each other.
func knowing(t *testing.T, members int, formats ...uint32) *cluster {
	t.Helper()
	var c *cluster
	ask := func(_ context.Context, peer Peer) (uint32, error) {
		for _, n := range c.nodes {
			if n.id == peer.ID && n.Replica != nil {
				return n.options.FormatMax, nil
			}
		}
		return 0, errAway
	}
	c = newCluster(t, len(formats), steady, func(i int, o *Options) { o.FormatMax, o.AskFormat = formats[i], ask })
	c.startFirst(members)
	return c
}

func (n *testNode) raise(format uint32) *kverr.Error {
	return n.RaiseFormat(n.cluster.ctx, format, n.cluster.deadline())
}

func (c *cluster) hand(to *testNode) {
	c.t.Helper()
	if leader := c.leader(); leader != to {
		if err := leader.TransferLeadership(c.ctx, to.id); err != nil {
			c.t.Fatal(err)
		}
	}
	to.mustAwait("does not lead", func(s Status) bool { return s.Ready })
}

func TestAMixedShardUsesTheOldFormatUntilAllKnowTheNewOne(t *testing.T) {
	c := knowing(t, 3, 1, 2, 2)
	old := c.nodes[0]
	for _, leader := range c.nodes {
		c.hand(leader)
		leader.mustPut("k", leader.id)
		want := pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED
		expectRefused(t, leader.raise(2), want)
		expectRefused(t, leader.raise(3), want)
		for _, n := range c.nodes {
			n.catchUp(leader)
			if s := n.Status(); s.Format != 1 {
				t.Fatalf("%s uses format %d", n.id, s.Format)
			}
		}
	}
	c.hand(c.nodes[1])
	old.crash()
	expectRefused(t, c.nodes[1].raise(2), pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
	expectRefused(t, c.nodes[2].raise(2), pb.ErrorCode_ERROR_CODE_NOT_LEADER)
	old.options.FormatMax = 2
	old.open()
	for range 2 {
		if err := c.nodes[1].raise(2); err != nil {
			t.Fatal(err)
		}
	}
	for _, leader := range c.nodes {
		leader.mustAwait("another format", func(s Status) bool { return s.Format == 2 })
		c.hand(leader)
		leader.mustPut("k", leader.id)
		leader.mustGet("k", leader.id)
	}
	// Nothing was lost on the way back to the version before, but it does not serve.
	old.crash()
	old.options.FormatMax = 1
	ctx, cancel := context.WithTimeout(c.ctx, time.Second)
	defer cancel()
	if err := old.tryOpen(ctx); kverr.Of(err).Code != pb.ErrorCode_ERROR_CODE_UNSUPPORTED {
		t.Fatalf("opened by a version that does not know the format: %v", err)
	}
	old.options.FormatMax = 2
	old.open()
	old.catchUp(c.leader())
}

func TestNobodyBecomesAMemberWhoDoesNotKnowTheFormat(t *testing.T) {
	c := knowing(t, 1, 2, 1)
	must := mustChange(t)
	leader, late := c.nodes[0], c.nodes[1]
	leader.mustPut("k", "1")
	// Of the first format there is nothing to ask.
	must(leader.add(late, 0))
	expectRefused(t, leader.raise(2), pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
	must(leader.remove(late, 0))
	if err := leader.raise(2); err != nil {
		t.Fatal(err)
	}
	leader.mustPut("k", "2")
	leader.compact(t)
	_, err := leader.add(late, 0)
	expectRefused(t, err, pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED)
	late.crash()
	_, err = leader.add(late, 0)
	expectRefused(t, err, pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
	late.options.FormatMax = 2
	late.open()
	must(leader.add(late, 0))
	late.mustAwait("no snapshot of the new format", func(s Status) bool { return s.Format == 2 })
	must(leader.promote(late, 0))
	c.hand(late)
	late.mustGet("k", "2")
	late.mustPut("k", "3")
}

package replica

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
)

func increment(key string) *command.Write {
	return &command.Write{Kind: &command.Write_Increment{Increment: &command.Increment{Key: []byte(key), By: 1}}}
}

// beginning are nodes of which each begins a new shard with the newest format, as far as the others know it. None of them
// tells before `answers` says so.
func beginning(t *testing.T, answers *atomic.Bool, formats ...uint32) *cluster {
	t.Helper()
	ask := func(_ context.Context, peer Peer) (uint32, error) {
		for i, format := range formats {
			if peer.ID == fmt.Sprintf("node-%d", i) && answers.Load() {
				return format, nil
			}
		}
		return 0, errAway
	}
	return newCluster(t, len(formats), steady, func(i int, o *Options) {
		o.FormatMax, o.FormatNew, o.AskFormat = formats[i], fsmcommand.Format, ask
	})
}

func TestANewShardBeginsWithWhatAllMembersKnow(t *testing.T) {
	for name, formats := range map[string][]uint32{"all the newest": {3, 3, 3}, "one an older one": {3, 2, 3}, "one the first": {3, 3, 1}} {
		t.Run(name, func(t *testing.T) {
			var answers atomic.Bool
			answers.Store(true)
			c := beginning(t, &answers, formats...)
			c.startFirst(len(formats))
			want := min(formats[0], formats[1], formats[2])
			for _, n := range c.nodes {
				n.mustAwait("another format", func(s Status) bool { return s.Format == want })
			}
		})
	}
}

// It is told to come again until that is known, and is not told that the shard is too old.
func TestWhoComesBeforeTheFormatIsKnownComesAgain(t *testing.T) {
	var answers atomic.Bool
	c := beginning(t, &answers, 3, 3, 3)
	c.startFirst(3)
	leader := c.leader()
	leader.mustAwait("does not lead", func(s Status) bool { return s.Ready })
	results := leader.Write(c.ctx, batchOf(put("k", "v"), increment("n")), c.deadline(), nil)
	if results[0].Err != nil {
		t.Fatalf("what the first format has is done: %v", results[0].Err)
	}
	expectRefused(t, results[1].Err, pb.ErrorCode_ERROR_CODE_UNAVAILABLE)
	answers.Store(true)
	leader.mustAwait("another format", func(s Status) bool { return s.Format == fsmcommand.Format })
	if result := leader.Write(c.ctx, batchOf(increment("n")), c.deadline(), nil)[0]; result.Err != nil || result.Value != 1 {
		t.Fatalf("got %+v", result)
	}
}

// A shard that is not new keeps its format, whatever its nodes know: somebody may want to go back.
func TestAnOlderShardRefusesWhatItsFormatLacks(t *testing.T) {
	var answers atomic.Bool
	c := beginning(t, &answers, 3, 3, 3)
	c.startFirst(3)
	first := c.leader()
	first.mustAwait("does not lead", func(s Status) bool { return s.Ready })
	for first.fsm.LogTimeMs() == 0 {
		first.mustPut("k", "v")
	}
	for _, leader := range c.nodes {
		if leader == first {
			continue
		}
		leader.catchUp(c.leader())
		c.hand(leader)
		answers.Store(true)
		results := leader.Write(c.ctx, batchOf(increment("n"), put("k", "v"), increment("n")), c.deadline(), nil)
		expectRefused(t, results[0].Err, pb.ErrorCode_ERROR_CODE_UNSUPPORTED)
		expectRefused(t, results[2].Err, pb.ErrorCode_ERROR_CODE_UNSUPPORTED)
		if results[1].Err != nil || leader.Status().Format != 1 {
			t.Fatalf("got %+v, format %d", results, leader.Status().Format)
		}
	}
	expectRefused(t, first.Write(c.ctx, batchOf(increment("n")), c.deadline(), nil)[0].Err, pb.ErrorCode_ERROR_CODE_NOT_LEADER)
	if err := c.leader().raise(fsmcommand.Format); err != nil {
		t.Fatal(err)
	}
	if result := c.leader().Write(c.ctx, batchOf(increment("n")), c.deadline(), nil)[0]; result.Err != nil || result.Value != 1 {
		t.Fatalf("got %+v", result)
	}
}

// Package failover makes a follower campaign as soon as its leader's process is gone, instead of after a time-out.
//
// It only ever gives a hint: Raft elects by votes, so a wrong hint costs an election and nothing else. What keeps it calm
// is a stagger by rank and a limit per minute.
package failover

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"kvorum/node/clock"
)

const (
	// stagger separates the campaigns of the voters that are left, in the order of their ids. An election on one machine or
	// in one data centre takes a few milliseconds, and up to 50 where fsyncs queue up: a candidate has written its term and
	// its vote before it asks for others'. Two candidates at once cost Raft's election time-out, half a second or more; one
	// that cannot win (its log is behind) holds the next voter up for this long only.
	stagger = 60 * time.Millisecond
	// patience is how long a candidate that this node has voted for gets to make itself known, and an election of this
	// node's to end. On a busy machine an elected leader's first message may take longer than the stagger, and to campaign
	// then would depose it.
	patience = 150 * time.Millisecond
	// attempts is how often this node looks whether the leader has been replaced. After that Raft's own time-outs must do.
	attempts = 3
	// maxPerMinute bounds campaigns of this node. Each one costs the shard a term.
	maxPerMinute = 6
)

// probeWaits are the waits before each look whether the leader's address refuses connections: the kernel closes a dead
// process's connections and its listener one after the other.
var probeWaits = []time.Duration{0, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond, 60 * time.Millisecond}

// Raft is what is asked of Raft and its transport. All functions are safe for concurrent use.
type Raft struct {
	State func() raft.RaftState
	// Leader is empty when none is known.
	Leader func() raft.ServerID
	// Vote is whom this node has voted for in the current term, empty if nobody.
	Vote func() raft.ServerID
	// Contact is when this node last heard of a leader, led, or voted; zero if not since its start.
	Contact func() time.Time
	// Voters are those of the newest configuration.
	Voters func() []raft.ServerID
	// Refused says whether a node's address refuses connections.
	Refused func(ctx context.Context, id raft.ServerID) bool
	// Campaign makes this node campaign at once.
	Campaign func() error
}

// Options of New; all are required.
type Options struct {
	Self  raft.ServerID
	Raft  Raft
	Clock clock.Clock
	Log   *slog.Logger
}

// Failover watches for the end of the leader's process until Close.
type Failover struct {
	options Options
	stop    context.CancelFunc
	done    chan struct{}

	mu sync.Mutex
	// gone are the peers whose connections have all closed, not looked at yet.
	gone   []raft.ServerID
	hinted bool
	// wake has room for one: something to look at.
	wake chan struct{}
	// campaigns are the times of the newest campaigns, oldest first. Only run uses it.
	campaigns []time.Time
}

// New starts it. Close ends it.
func New(o Options) *Failover {
	ctx, stop := context.WithCancel(context.Background())
	f := &Failover{options: o, stop: stop, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go f.run(ctx)
	return f
}

// PeerGone says that every connection of that peer has closed. It never blocks.
func (f *Failover) PeerGone(id raft.ServerID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.gone, id) {
		f.gone = append(f.gone, id)
	}
	f.poke()
}

// Hint says that somebody believes the leader's process to be gone, or that there is none yet. It never blocks, and does
// nothing while the leader is well, or about to be replaced. While this node knows no leader it campaigns, so whoever hints
// must know that there is none: a node that has just restarted, and not heard of its leader yet, would depose it.
func (f *Failover) Hint() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hinted = true
	f.poke()
}

// Close waits until it has stopped.
func (f *Failover) Close() {
	f.stop()
	<-f.done
}

func (f *Failover) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *Failover) run(ctx context.Context) {
	defer close(f.done)
	for {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
		gone, hinted := f.take()
		if hinted {
			gone = append(gone, f.options.Raft.Leader())
		}
		for _, leader := range gone {
			f.replace(ctx, leader)
		}
	}
}

func (f *Failover) take() (gone []raft.ServerID, hinted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone, hinted = f.gone, f.hinted
	f.gone, f.hinted = nil, false
	return gone, hinted
}

// replace campaigns, if `leader` leads, or nobody does, its process is gone, and nobody of a lower rank has been elected
// meanwhile. leader is empty for a hint at a time when none is known.
//
// A peer that is gone may have been the leader although Raft knows none: the request for a vote of somebody who has noticed
// earlier makes Raft forget its leader.
func (f *Failover) replace(ctx context.Context, leader raft.ServerID) {
	if !f.wanted(leader) || leader != "" && !f.confirm(ctx, leader) {
		return
	}
	// A vote of long ago, for the lost leader or before a restart, binds nobody.
	known := leader
	if leader == "" {
		known = f.options.Raft.Vote()
	}
	wait := f.rank(leader) * stagger
	if leader == "" && f.options.Clock.Since(f.options.Raft.Contact()) < patience {
		// There was a leader, or a vote, a moment ago: between a leader that hands over and its successor there is none.
		// Whoever campaigns now deposes the successor.
		wait += patience
	}
	for range attempts {
		if clock.Wait(ctx, f.options.Clock, wait) != nil || f.replaced(leader) {
			return
		}
		vote := f.options.Raft.Vote()
		if f.wanted(leader) && (vote == known || vote == "" || vote == f.options.Self) {
			f.campaign(leader)
		}
		known = vote
		wait = patience + f.rank(leader)*stagger
	}
}

func (f *Failover) campaign(leader raft.ServerID) {
	if !f.allowed() {
		f.options.Log.Warn("the leader is gone, but this node has campaigned too often", "leader", leader, "per_minute", maxPerMinute)
		return
	}
	f.options.Log.Info("the leader is gone: campaigning now", "leader", leader)
	if err := f.options.Raft.Campaign(); err != nil {
		f.options.Log.Warn("campaign failed", "error", err)
	}
}

// replaced says whether there is a new leader, perhaps this node.
func (f *Failover) replaced(leader raft.ServerID) bool {
	now := f.options.Raft.Leader()
	return now != "" && now != leader
}

// wanted says whether this node should still campaign in the place of that leader. Another voter's campaign that failed
// makes Raft forget its leader, and then the next in rank must go on; a new leader ends it.
func (f *Failover) wanted(leader raft.ServerID) bool {
	r := f.options.Raft
	return !f.replaced(leader) && r.State() == raft.Follower && slices.Contains(r.Voters(), f.options.Self)
}

// confirm says whether the leader's process is gone, not only its connections.
func (f *Failover) confirm(ctx context.Context, leader raft.ServerID) bool {
	for _, wait := range probeWaits {
		if clock.Wait(ctx, f.options.Clock, wait) != nil || !f.wanted(leader) {
			return false
		}
		if f.options.Raft.Refused(ctx, leader) {
			return true
		}
	}
	f.options.Log.Info("the leader's connections closed, but its process listens", "leader", leader)
	return false
}

// rank is this node's place among the voters that are left, by id.
func (f *Failover) rank(leader raft.ServerID) time.Duration {
	rank := time.Duration(0)
	for _, voter := range f.options.Raft.Voters() {
		if voter != leader && voter < f.options.Self {
			rank++
		}
	}
	return rank
}

// allowed counts a campaign, if the limit per minute leaves room for it.
func (f *Failover) allowed() bool {
	now := f.options.Clock.Now()
	f.campaigns = slices.DeleteFunc(f.campaigns, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(f.campaigns) >= maxPerMinute {
		return false
	}
	f.campaigns = append(f.campaigns, now)
	return true
}

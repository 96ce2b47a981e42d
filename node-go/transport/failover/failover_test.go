package failover

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"kvorum/node/clock/clocktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeRaft is a Raft whose state the test sets.
type fakeRaft struct {
	mu        sync.Mutex
	state     raft.RaftState
	leader    raft.ServerID
	voters    []raft.ServerID
	vote      raft.ServerID
	contact   time.Time
	refused   bool
	probes    int
	campaigns chan struct{}
}

func newFakeRaft() *fakeRaft {
	return &fakeRaft{
		state: raft.Follower, leader: "a", vote: "a", voters: []raft.ServerID{"c", "a", "b"}, refused: true,
		campaigns: make(chan struct{}, 100),
	}
}

func (r *fakeRaft) set(change func(r *fakeRaft)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

func get[T any](r *fakeRaft, field *T) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *field
}

func (r *fakeRaft) functions() Raft {
	return Raft{
		State:   func() raft.RaftState { return get(r, &r.state) },
		Leader:  func() raft.ServerID { return get(r, &r.leader) },
		Vote:    func() raft.ServerID { return get(r, &r.vote) },
		Voters:  func() []raft.ServerID { return get(r, &r.voters) },
		Contact: func() time.Time { return get(r, &r.contact) },
		Refused: func(context.Context, raft.ServerID) bool {
			r.set(func(r *fakeRaft) { r.probes++ })
			return get(r, &r.refused)
		},
		Campaign: func() error {
			r.campaigns <- struct{}{}
			return errors.New("a failed campaign is only logged")
		},
	}
}

func start(t *testing.T, r *fakeRaft, self raft.ServerID) (*Failover, *clocktest.Manual) {
	t.Helper()
	manual := clocktest.New()
	f := New(Options{Self: self, Raft: r.functions(), Clock: manual, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(f.Close)
	return f, manual
}

func TestTheFirstOfTheRestCampaignsAtOnce(t *testing.T) {
	r := newFakeRaft()
	f, _ := start(t, r, "b")
	f.PeerGone("a")
	<-r.campaigns
}

func TestTheNextWaitsItsTurn(t *testing.T) {
	r := newFakeRaft()
	f, manual := start(t, r, "c")
	f.PeerGone("a")
	manual.AwaitTimers(1)
	manual.Advance(stagger - 1)
	if len(r.campaigns) != 0 {
		t.Error("campaigned before its turn")
	}
	manual.Advance(1)
	<-r.campaigns
}

// What may happen while a voter waits for its turn, and how many looks it then takes.
func TestWhileWaiting(t *testing.T) {
	for _, test := range []struct {
		name      string
		change    func(r *fakeRaft)
		looks     int
		campaigns int
	}{
		{"nothing: it tries again and again, for a while", func(*fakeRaft) {}, attempts, attempts},
		{"the first one's campaign failed, which makes Raft forget the leader", func(r *fakeRaft) { r.leader = "" }, attempts, attempts},
		{"the first one was elected", func(r *fakeRaft) { r.leader = "b" }, 1, 0},
		{"the first one has this node's vote, but is not heard of", func(r *fakeRaft) { r.leader, r.vote = "", "b" }, attempts, attempts - 1},
		{"Raft campaigns by itself", func(r *fakeRaft) { r.state = raft.Candidate }, attempts, 0},
		{"this node was elected", func(r *fakeRaft) { r.state, r.leader = raft.Leader, "c" }, 1, 0},
		{"this node lost its vote", func(r *fakeRaft) { r.voters = []raft.ServerID{"a", "b"} }, attempts, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newFakeRaft()
			f, manual := start(t, r, "c")
			done := make(chan struct{})
			go func() {
				defer close(done)
				f.replace(context.Background(), "a")
			}()
			for look := range test.looks {
				manual.AwaitTimers(1)
				if look == 0 {
					r.set(test.change)
				}
				manual.Advance(patience + stagger)
			}
			<-done
			if got := len(r.campaigns); got != test.campaigns {
				t.Errorf("%d campaigns", got)
			}
		})
	}
}

// An elected leader whose first message is late is not deposed by the next in rank.
func TestACandidateThatHasTheVoteGetsTime(t *testing.T) {
	r := newFakeRaft()
	f, manual := start(t, r, "c")
	f.PeerGone("a")
	manual.AwaitTimers(1)
	r.set(func(r *fakeRaft) { r.leader, r.vote = "", "b" })
	manual.Advance(stagger)
	manual.AwaitTimers(1)
	r.set(func(r *fakeRaft) { r.leader = "b" })
	manual.Advance(patience + stagger)
	f.Close()
	if len(r.campaigns) > 0 {
		t.Error("campaigned")
	}
}

func TestWhenNotToCampaign(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(r *fakeRaft)
	}{
		{"another leader is known", func(r *fakeRaft) { r.leader = "c" }},
		{"it leads itself", func(r *fakeRaft) { r.state, r.leader = raft.Leader, "b" }},
		{"Raft campaigns by itself", func(r *fakeRaft) { r.state = raft.Candidate }},
		{"it has no vote", func(r *fakeRaft) { r.voters = []raft.ServerID{"a", "c"} }},
		{"it is no member yet", func(r *fakeRaft) { r.voters = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newFakeRaft()
			r.set(test.change)
			f, _ := start(t, r, "b")
			f.replace(context.Background(), "a")
			if len(r.campaigns) > 0 || r.probes > 0 {
				t.Errorf("%d campaigns, %d probes", len(r.campaigns), r.probes)
			}
		})
	}
}

// A leader whose connections broke, or that is only paused, keeps its place.
func TestALeaderThatListensIsNotReplaced(t *testing.T) {
	r := newFakeRaft()
	r.refused = false
	f, manual := start(t, r, "b")
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.replace(context.Background(), "a")
	}()
	for _, wait := range probeWaits[1:] {
		manual.AwaitTimers(1)
		manual.Advance(wait)
	}
	<-done
	if len(r.campaigns) > 0 || r.probes != len(probeWaits) {
		t.Errorf("%d campaigns, %d probes", len(r.campaigns), r.probes)
	}
}

// The kernel closes a dead process's connections before its listener, or after.
func TestALeaderThatIsStillDyingIsReplaced(t *testing.T) {
	r := newFakeRaft()
	r.refused = false
	f, manual := start(t, r, "b")
	f.PeerGone("a")
	manual.AwaitTimers(1)
	r.set(func(r *fakeRaft) { r.refused = true })
	manual.Advance(probeWaits[1])
	<-r.campaigns
}

// Somebody who noticed earlier has asked for our vote, which makes Raft forget its leader.
func TestALeaderThatRaftHasForgottenIsReplaced(t *testing.T) {
	r := newFakeRaft()
	r.leader = ""
	f, _ := start(t, r, "b")
	f.PeerGone("a")
	<-r.campaigns
}

func TestOtherPeersDoNotMatter(t *testing.T) {
	r := newFakeRaft()
	f, _ := start(t, r, "b")
	f.PeerGone("c")
	f.PeerGone("c")
	// It is looked at before the next: one goroutine does both.
	f.PeerGone("a")
	<-r.campaigns
	if len(r.campaigns) > 0 {
		t.Error("campaigned twice")
	}
}

func TestHint(t *testing.T) {
	t.Run("no leader yet", func(t *testing.T) {
		r := newFakeRaft()
		r.leader, r.vote = "", ""
		f, _ := start(t, r, "a")
		f.Hint()
		<-r.campaigns
	})
	t.Run("no leader yet, and others come first", func(t *testing.T) {
		r := newFakeRaft()
		r.leader = ""
		f, manual := start(t, r, "c")
		f.Hint()
		manual.AwaitTimers(1)
		manual.Advance(2 * stagger)
		<-r.campaigns
	})
	t.Run("no leader since a restart", func(t *testing.T) {
		r := newFakeRaft()
		r.leader, r.vote = "", "c"
		f, _ := start(t, r, "a")
		f.Hint()
		<-r.campaigns
	})
	t.Run("the leader is gone", func(t *testing.T) {
		r := newFakeRaft()
		f, _ := start(t, r, "b")
		f.Hint()
		<-r.campaigns
	})
	t.Run("the leader is well", func(t *testing.T) {
		r := newFakeRaft()
		r.refused = false
		f, manual := start(t, r, "b")
		f.Hint()
		for _, wait := range probeWaits[1:] {
			manual.AwaitTimers(1)
			manual.Advance(wait)
		}
		if len(r.campaigns) > 0 {
			t.Error("campaigned")
		}
	})
}

func TestAHintWaitsForAnElectionThatMayBeUnderWay(t *testing.T) {
	t.Run("the leader is being replaced", func(t *testing.T) {
		r := newFakeRaft()
		f, manual := start(t, r, "a")
		// It has just voted for a candidate, which will be elected.
		r.set(func(r *fakeRaft) { r.leader, r.vote, r.contact = "", "b", manual.Now() })
		f.Hint()
		manual.AwaitTimers(1)
		r.set(func(r *fakeRaft) { r.leader = "b" })
		manual.Advance(patience)
		f.Close()
		if len(r.campaigns) > 0 {
			t.Error("campaigned")
		}
	})
	t.Run("the leader's successor was not elected", func(t *testing.T) {
		r := newFakeRaft()
		f, manual := start(t, r, "a")
		r.set(func(r *fakeRaft) { r.leader, r.vote, r.contact = "", "b", manual.Now() })
		f.Hint()
		manual.AwaitTimers(1)
		manual.Advance(patience - 1)
		if len(r.campaigns) > 0 {
			t.Error("campaigned while the election may go on")
		}
		manual.Advance(1)
		<-r.campaigns
	})
}

func TestCampaignsAreLimited(t *testing.T) {
	r := newFakeRaft()
	f, manual := start(t, r, "b")
	f.Close()
	campaigned := func() bool {
		f.campaign("a")
		select {
		case <-r.campaigns:
			return true
		default:
			return false
		}
	}
	for i := range maxPerMinute {
		if !campaigned() {
			t.Fatalf("campaign %d was not allowed", i)
		}
		manual.Advance(time.Second)
	}
	if campaigned() {
		t.Error("one too many")
	}
	manual.Advance(time.Minute - maxPerMinute*time.Second)
	if !campaigned() {
		t.Error("a minute after the first there is room for one")
	}
	if campaigned() {
		t.Error("but for one only")
	}
}

func TestCloseEndsAWait(t *testing.T) {
	r := newFakeRaft()
	f, manual := start(t, r, "c")
	f.PeerGone("a")
	manual.AwaitTimers(1)
	f.Close()
	if len(r.campaigns) > 0 {
		t.Error("campaigned")
	}
}

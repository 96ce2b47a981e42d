package failover_test

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	"kvorum/node/transport"
	"kvorum/node/transport/failover"
)

const (
	// timeout is Raft's, far above what a campaign takes that does not wait for it. Two campaigns at the same moment, which
	// a busy machine may bring about, cost one time-out.
	timeout = 2 * time.Second
	// patience is how long a test waits for what must happen.
	patience = 30 * time.Second
	// storm is how many terms an election may cost at most.
	storm = 6
)

// member is a whole node, but for its data: real Raft over real connections.
type member struct {
	id        raft.ServerID
	mux       *transport.Mux
	transport *transport.Transport
	raft      *raft.Raft
	failover  *failover.Failover
	log       *fallibleLog
	dead      bool
}

// fallibleLog refuses writes when told to.
type fallibleLog struct {
	*raft.InmemStore
	fails atomic.Bool
}

func (l *fallibleLog) StoreLogs(logs []*raft.Log) error {
	if l.fails.Load() {
		return errors.New("no room")
	}
	return l.InmemStore.StoreLogs(logs)
}

type nothing struct{}

func (nothing) Apply(*raft.Log) any                 { return nil }
func (nothing) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("not needed") }
func (nothing) Restore(io.ReadCloser) error         { return errors.New("not needed") }

// startCluster makes the members and has the last of them elected, by a hint.
func startCluster(t *testing.T, ids ...string) []*member {
	t.Helper()
	members := startMembers(t, ids...)
	last := members[len(members)-1]
	last.failover.Hint()
	await(t, "the first leader", func() bool { return last.raft.Barrier(patience).Error() == nil })
	everybodyFollows(t, members, last)
	return members
}

// startMembers makes members of which nobody leads.
func startMembers(t *testing.T, ids ...string) []*member {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	book := transport.NewBook(nil, nil)
	var members []*member
	var configuration raft.Configuration
	for _, id := range ids {
		mux, err := transport.Listen("127.0.0.1:0", transport.MuxOptions{Clock: clock.Real(), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		book.Set(id, mux.Addr().String())
		network, err := transport.New(transport.Options{
			Identity: transport.Identity{ClusterID: "c", Shard: 1, NodeID: id, Address: mux.Addr().String()},
			Book:     book, Listener: mux.Raft(), Clock: clock.Real(), Log: log, RaftLog: hclog.NewNullLogger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		m := &member{id: raft.ServerID(id), mux: mux, transport: network, log: &fallibleLog{InmemStore: raft.NewInmemStore()}}
		members = append(members, m)
		configuration.Servers = append(configuration.Servers, raft.Server{ID: m.id, Address: raft.ServerAddress(id)})
	}
	for _, m := range members {
		m.start(t, configuration)
	}
	return members
}

func (m *member) start(t *testing.T, configuration raft.Configuration) {
	t.Helper()
	config := raft.DefaultConfig()
	config.LocalID = m.id
	config.HeartbeatTimeout, config.ElectionTimeout, config.LeaderLeaseTimeout = timeout, timeout, timeout
	config.CommitTimeout = 10 * time.Millisecond
	config.Logger = hclog.NewNullLogger()
	snapshots := raft.NewInmemSnapshotStore()
	if err := raft.BootstrapCluster(config, m.log, m.log, snapshots, m.transport, configuration); err != nil {
		t.Fatal(err)
	}
	r, err := raft.NewRaft(config, nothing{}, m.log, m.log, snapshots, m.transport)
	if err != nil {
		t.Fatal(err)
	}
	m.raft = r
	m.failover = failover.New(failover.Options{
		Self: m.id, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
		Raft: failover.Raft{
			State:    r.State,
			Leader:   func() raft.ServerID { _, id := r.LeaderWithID(); return id },
			Vote:     m.vote,
			Voters:   m.voters,
			Contact:  r.LastContact,
			Refused:  m.transport.Refused,
			Campaign: m.transport.CampaignNow,
		},
	})
	m.transport.OnPeerGone(m.failover.PeerGone)
	t.Cleanup(func() {
		m.kill()
		m.failover.Close()
		if err := m.raft.Shutdown().Error(); err != nil {
			t.Error(err)
		}
	})
}

func (m *member) voters() []raft.ServerID {
	var ids []raft.ServerID
	for _, server := range m.raft.GetConfiguration().Configuration().Servers {
		ids = append(ids, server.ID)
	}
	return ids
}

func (m *member) vote() raft.ServerID {
	term, err := m.log.GetUint64([]byte("LastVoteTerm"))
	if err != nil || term != m.raft.CurrentTerm() {
		return ""
	}
	candidate, err := m.log.Get([]byte("LastVoteCand"))
	if err != nil {
		return ""
	}
	return raft.ServerID(candidate)
}

// kill is what the end of the process looks like from outside: the port and every connection close.
func (m *member) kill() {
	m.dead = true
	m.mux.Close()
	m.transport.Close()
}

func everybodyFollows(t *testing.T, members []*member, leader *member) {
	t.Helper()
	for _, m := range members {
		if m.dead {
			continue
		}
		await(t, "a follower", func() bool {
			_, id := m.raft.LeaderWithID()
			return id == leader.id
		})
	}
}

// await asks again until it is so. Raft gives no event for what these tests wait for; the pause only keeps the machine free.
func await(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for !isSo() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		<-pause.C
	}
}

// newLeader waits for one that has committed, and says how long it took.
func newLeader(t *testing.T, members []*member, since time.Time) (*member, time.Duration) {
	t.Helper()
	var leader *member
	await(t, "a new leader", func() bool {
		i := slices.IndexFunc(members, func(m *member) bool { return !m.dead && m.raft.State() == raft.Leader })
		if i < 0 || members[i].raft.Barrier(patience).Error() != nil {
			return false
		}
		leader = members[i]
		return true
	})
	took := time.Since(since)
	t.Logf("%s leads and has committed after %s", leader.id, took.Round(100*time.Microsecond))
	return leader, took
}

func kill(members []*member, victim *member) []*member {
	victim.kill()
	return slices.DeleteFunc(slices.Clone(members), func(m *member) bool { return m == victim })
}

func TestLeaderIsReplacedAtOnce(t *testing.T) {
	const rounds = 5
	quick := 0
	for range rounds {
		members := startCluster(t, "a", "b", "c")
		leader := members[2]
		term := leader.raft.CurrentTerm()
		since := time.Now()
		rest := kill(members, leader)
		next, took := newLeader(t, rest, since)
		if took < timeout {
			quick++
		}
		if got := next.raft.CurrentTerm(); got > term+storm {
			t.Errorf("the term went from %d to %d: the others got into each other's way", term, got)
		}
		everybodyFollows(t, rest, next)
	}
	if quick <= rounds/2 {
		t.Errorf("only %d of %d leaders were replaced before a time-out", quick, rounds)
	}
}

// Five nodes lose two leaders in turn.
func TestTwoLeadersAreReplacedInTurn(t *testing.T) {
	members := startCluster(t, "a", "b", "c", "d", "e")
	leader := members[4]
	for range 2 {
		term := leader.raft.CurrentTerm()
		since := time.Now()
		members = kill(members, leader)
		leader, _ = newLeader(t, members, since)
		if got := leader.raft.CurrentTerm(); got > term+storm {
			t.Errorf("the term went from %d to %d: the others got into each other's way", term, got)
		}
		everybodyFollows(t, members, leader)
	}
}

// The first in rank cannot win, because its log is behind: it holds the next one up for the stagger only.
func TestAVoterThatIsBehindDoesNotHoldTheOthersUp(t *testing.T) {
	members := startCluster(t, "a", "b", "c")
	behind, next, leader := members[0], members[1], members[2]
	behind.log.fails.Store(true)
	if err := leader.raft.Apply([]byte("x"), patience).Error(); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	rest := kill(members, leader)
	await(t, "the next in rank", func() bool { return next.raft.State() == raft.Leader })
	behind.log.fails.Store(false)
	if got, _ := newLeader(t, rest, since); got != next {
		t.Errorf("%s leads, and has not what was acknowledged", got.id)
	}
}

// A leader that is alive keeps its place, whoever hints.
func TestHintsDoNotDisturbALeader(t *testing.T) {
	members := startCluster(t, "a", "b", "c")
	leader := members[2]
	term := leader.raft.CurrentTerm()
	for range 3 {
		for _, m := range members {
			m.failover.Hint()
		}
		if err := leader.raft.Apply([]byte("x"), patience).Error(); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range members {
		m.failover.Close()
	}
	if got := leader.raft.CurrentTerm(); got != term || leader.raft.State() != raft.Leader {
		t.Errorf("the term went from %d to %d", term, got)
	}
}

// At the start nobody leads, and everybody gets the hint at the same moment.
func TestHintsAtTheStart(t *testing.T) {
	members := startMembers(t, "a", "b", "c")
	since := time.Now()
	for _, m := range members {
		m.failover.Hint()
	}
	leader, _ := newLeader(t, members, since)
	if got := leader.raft.CurrentTerm(); got > storm {
		t.Errorf("it took until term %d: they got into each other's way", got)
	}
	everybodyFollows(t, members, leader)
}

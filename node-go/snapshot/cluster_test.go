package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"kvorum/node/engine/bitcask"
	"kvorum/node/fsm"
	"kvorum/node/fsm/command"
	pb "kvorum/node/gen/command"
	"kvorum/node/snapshot"
	"kvorum/node/vfs/vfstest"
)

// cluster is three real Raft nodes with everything of ours but the log store and the transport.
type cluster struct {
	t       *testing.T
	members []*member
	// elected is told of each new leader.
	elected chan raft.Observation
	// model is what was acknowledged.
	model map[string]string
	count int
}

// member is a node: its disk, and what runs on it.
type member struct {
	id        raft.ServerID
	fs        *vfstest.FS
	log       *strictLog
	transport *raft.InmemTransport
	engine    *bitcask.Engine
	store     *snapshot.Store
	fsm       *fsm.FSM
	raft      *raft.Raft
	observer  *raft.Observer
}

// strictLog refuses gaps, as raft-wal does. It is the part of the disk that loses nothing.
type strictLog struct{ *raft.InmemStore }

func (l strictLog) IsMonotonic() bool { return true }

func (l strictLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

func (l strictLog) StoreLogs(entries []*raft.Log) error {
	last, err := l.LastIndex()
	if err != nil {
		return err
	}
	if last > 0 && entries[0].Index != last+1 {
		return fmt.Errorf("entry %d after %d", entries[0].Index, last)
	}
	return l.InmemStore.StoreLogs(entries)
}

// LastIndex of a log whose entries are all deleted is 0, where InmemStore says something else.
func (l strictLog) LastIndex() (uint64, error) {
	first, err := l.FirstIndex()
	if err != nil {
		return 0, err
	}
	last, err := l.InmemStore.LastIndex()
	if first > last {
		return 0, err
	}
	return last, err
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, elected: make(chan raft.Observation, 1000), model: map[string]string{}}
	servers := []raft.Server{}
	for _, id := range []raft.ServerID{"a", "b", "c"} {
		m := &member{id: id, fs: vfstest.New(), log: &strictLog{raft.NewInmemStore()}}
		c.members = append(c.members, m)
		servers = append(servers, raft.Server{ID: id, Address: raft.ServerAddress(id)})
	}
	for _, m := range c.members {
		c.start(m)
	}
	if err := c.members[0].raft.BootstrapCluster(raft.Configuration{Servers: servers}).Error(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, m := range c.members {
			c.stop(m)
		}
	})
	c.propose(&pb.Command{Kind: &pb.Command_Assign{Assign: &pb.AssignPartitions{
		Epoch: 1, Owned: []*pb.PartitionRange{{First: 0, Last: command.Partitions - 1}},
	}}})
	return c
}

// start opens what is on the member's disk, as a node does, and joins the others.
func (c *cluster) start(m *member) {
	c.t.Helper()
	c.openStores(m)
	_, m.transport = raft.NewInmemTransportWithTimeout(raft.ServerAddress(m.id), 5*time.Second)
	config := raft.DefaultConfig()
	config.LocalID = m.id
	config.HeartbeatTimeout, config.ElectionTimeout, config.LeaderLeaseTimeout = 200*time.Millisecond, 200*time.Millisecond, 150*time.Millisecond
	config.CommitTimeout, config.SnapshotInterval, config.SnapshotThreshold = 5*time.Millisecond, time.Hour, 1<<40
	config.NoSnapshotRestoreOnStart = true
	config.Logger = hclog.NewNullLogger()
	var err error
	m.raft, err = raft.NewRaft(config, m.fsm, m.log, m.log, m.store, m.transport)
	if err != nil {
		c.t.Fatal(err)
	}
	m.observer = raft.NewObserver(c.elected, false, func(o *raft.Observation) bool { return o.Data == raft.Leader })
	m.raft.RegisterObserver(m.observer)
	c.connect(m)
}

func (c *cluster) openStores(m *member) {
	c.t.Helper()
	var err error
	if m.engine, err = bitcask.Open("/engine", bitcask.Options{FS: m.fs}); err != nil {
		c.t.Fatal(err)
	}
	m.store, err = snapshot.Open("/snapshots", snapshot.Options{FS: m.fs, Engine: m.engine, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := m.store.FinishRestore(m.log); err != nil {
		c.t.Fatal(err)
	}
	m.fsm, err = fsm.New(m.engine, fsm.Options{Log: slog.New(slog.DiscardHandler), OnFatal: func(err error) { panic(err) }})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) stop(m *member) {
	c.t.Helper()
	if m.raft == nil {
		return
	}
	c.cut(m)
	m.raft.DeregisterObserver(m.observer)
	if err := m.raft.Shutdown().Error(); err != nil {
		c.t.Error(err)
	}
	m.fsm.Close()
	if err := errors.Join(m.transport.Close(), m.engine.Close()); err != nil {
		c.t.Error(err)
	}
	m.raft = nil
}

func (c *cluster) others(m *member) (others []*member) {
	for _, other := range c.members {
		if other != m && other.raft != nil {
			others = append(others, other)
		}
	}
	return others
}

func (c *cluster) connect(m *member) {
	for _, other := range c.others(m) {
		m.transport.Connect(raft.ServerAddress(other.id), other.transport)
		other.transport.Connect(raft.ServerAddress(m.id), m.transport)
	}
}

func (c *cluster) cut(m *member) {
	m.transport.DisconnectAll()
	for _, other := range c.others(m) {
		other.transport.Disconnect(raft.ServerAddress(m.id))
	}
}

func (c *cluster) leader() *member {
	for {
		for _, m := range c.members {
			if m.raft != nil && m.raft.VerifyLeader().Error() == nil {
				return m
			}
		}
		<-c.elected
	}
}

func (c *cluster) follower() *member { return c.others(c.leader())[0] }

// propose retries until it is acknowledged. All that is proposed here may be applied twice.
func (c *cluster) propose(cmd *pb.Command) uint64 {
	data, err := command.Encode(cmd, 1)
	if err != nil {
		c.t.Fatal(err)
	}
	for {
		future := c.leader().raft.Apply(data, 0)
		if future.Error() != nil {
			continue
		}
		if applied := future.Response().(*fsm.Applied); applied.Err != nil {
			c.t.Fatal(applied.Err)
		}
		return future.Index()
	}
}

// write makes the next write and returns its index.
func (c *cluster) write() uint64 {
	c.count++
	key, value := fmt.Sprintf("key %d", c.count%97), fmt.Sprintf("%d %s", c.count, bytes.Repeat([]byte("v"), c.count%300))
	w := &pb.Write{Kind: &pb.Write_Put{Put: &pb.Put{Key: []byte(key), Value: []byte(value)}}}
	c.model[key] = value
	if c.count%7 == 0 {
		w = &pb.Write{Kind: &pb.Write_Delete{Delete: &pb.Delete{Key: []byte(key)}}}
		delete(c.model, key)
	}
	return c.propose(&pb.Command{StampMs: uint64(c.count), Kind: &pb.Command_Write{Write: &pb.WriteBatch{Writes: []*pb.Write{w}}}})
}

func (c *cluster) writes(n int) (index uint64) {
	for range n {
		index = c.write()
	}
	return index
}

// compact takes a snapshot on a member and cuts its log to nearly nothing.
func (c *cluster) compact(m *member) {
	c.t.Helper()
	r := snapshot.OfRaft(m.raft)
	if err := errors.Join(r.KeepEntries(2), r.Snapshot()); err != nil {
		c.t.Fatal(err)
	}
}

// requireAlike waits until every member has applied index, and compares all they hold with each other and the model.
func (c *cluster) requireAlike(index uint64) {
	c.t.Helper()
	for _, m := range c.members {
		if err := m.fsm.WaitApplied(c.t.Context(), index); err != nil {
			c.t.Fatal(err)
		}
	}
	want := c.content(c.members[0])
	for _, m := range c.members {
		if !bytes.Equal(c.content(m), want) {
			c.t.Fatalf("%s and %s differ", m.id, c.members[0].id)
		}
		for i := range 97 {
			key := fmt.Sprintf("key %d", i)
			record, found, err := m.fsm.Get([]byte(key))
			if value, exists := c.model[key]; err != nil || found != exists || string(record.Value) != value {
				c.t.Fatalf("%s: get %q: %q %v, error %v; want %q", m.id, key, record.Value, found, err, value)
			}
		}
	}
}

func (c *cluster) content(m *member) []byte {
	c.t.Helper()
	view, err := m.engine.View()
	if err != nil {
		c.t.Fatal(err)
	}
	defer view.Close()
	var stream bytes.Buffer
	if _, err := view.WriteTo(&stream); err != nil {
		c.t.Fatal(err)
	}
	return stream.Bytes()
}

func firstIndex(t *testing.T, m *member) uint64 {
	t.Helper()
	first, err := m.log.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	return first
}

func TestAFollowerPastCompactionIsCaughtUpWhileWritesGoOn(t *testing.T) {
	c := newCluster(t)
	c.writes(100)
	away := c.follower()
	c.cut(away)
	before := away.fsm.Applied()
	target := c.writes(300)
	leader := c.leader()
	c.compact(leader)
	if first := firstIndex(t, leader); first <= before {
		t.Fatalf("the leader still has entry %d of its log", first)
	}

	c.connect(away)
	caughtUp := make(chan error, 1)
	go func() { caughtUp <- away.fsm.WaitApplied(t.Context(), target) }()
	for done := false; !done; {
		c.writes(20)
		if leader == c.leader() {
			c.compact(leader) // local snapshots beside the one that is sent
		}
		select {
		case err := <-caughtUp:
			if err != nil {
				t.Fatal(err)
			}
			done = true
		default:
		}
	}
	c.requireAlike(c.writes(50))
	if newest, ok := away.store.Newest(); !ok || newest.Index <= before {
		t.Fatalf("no snapshot was installed: %+v", newest)
	}

	// After a power cut it comes up with what it was sent.
	c.stop(away)
	away.fs = away.fs.Crash(vfstest.Losses(0)["all"])
	c.writes(20)
	c.start(away)
	c.requireAlike(c.writes(20))
}

func TestACrashBetweenInstallAndRestoreIsFinishedAtTheStart(t *testing.T) {
	c := newCluster(t)
	c.writes(50)
	away := c.follower()
	c.stop(away)
	c.writes(200)
	leader := c.leader()
	c.compact(leader)
	newest, _ := leader.store.Newest()
	c.writes(30)

	meta, source, err := leader.store.Open(newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	if away.engine, err = bitcask.Open("/engine", bitcask.Options{FS: away.fs}); err != nil {
		t.Fatal(err)
	}
	if away.store, err = snapshot.Open("/snapshots", snapshot.Options{FS: away.fs, Engine: away.engine}); err != nil {
		t.Fatal(err)
	}
	sink, err := away.store.Create(meta.Version, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(sink, source)
	if err := errors.Join(err, source.Close(), sink.Close()); err != nil || n != meta.Size {
		t.Fatalf("%d of %d bytes: %v", n, meta.Size, err)
	}
	old := away.engine.Applied()
	if err := away.engine.Close(); err != nil {
		t.Fatal(err)
	}
	away.fs = away.fs.Crash(vfstest.Losses(0)["all"])

	c.openStores(away)
	if got := away.engine.Applied(); got < newest.Needs || got <= old {
		t.Fatalf("the engine is at entry %d; it was at %d, and the snapshot was of %d", got, old, newest.Needs)
	}
	if err := away.engine.Close(); err != nil {
		t.Fatal(err)
	}
	c.start(away)
	c.requireAlike(c.writes(30))
}

package replica

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"kvorum/node/clock"
	"kvorum/node/fsm"
	"kvorum/node/kverr"
	"kvorum/node/raftlog"
	"kvorum/node/stall"
	"kvorum/node/vfs"
)

// heldDisk is a disk whose Raft log can be held: its fsyncs do not return meanwhile.
type heldDisk struct {
	vfs.FS
	mu      sync.Mutex
	changed *sync.Cond
	held    bool
	waiting int
}

func newHeldDisk() *heldDisk {
	d := &heldDisk{FS: vfs.OS()}
	d.changed = sync.NewCond(&d.mu)
	return d
}

func (d *heldDisk) hold() { d.set(true) }

func (d *heldDisk) release() { d.set(false) }

func (d *heldDisk) set(held bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = held
	d.changed.Broadcast()
}

// awaitSync waits until an fsync is held.
func (d *heldDisk) awaitSync() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.waiting == 0 {
		d.changed.Wait()
	}
}

func (d *heldDisk) sync(file vfs.RandomFile) error {
	d.mu.Lock()
	d.waiting++
	d.changed.Broadcast()
	for d.held {
		d.changed.Wait()
	}
	d.waiting--
	d.mu.Unlock()
	return file.Sync()
}

func (d *heldDisk) Allocate(path string, size int64) (vfs.RandomFile, error) {
	return d.wrap(d.FS.Allocate(path, size))
}

func (d *heldDisk) OpenRandom(path string) (vfs.RandomFile, error) {
	return d.wrap(d.FS.OpenRandom(path))
}

func (d *heldDisk) wrap(file vfs.RandomFile, err error) (vfs.RandomFile, error) {
	if err != nil || !strings.HasSuffix(file.(interface{ Name() string }).Name(), ".wal") {
		return file, err
	}
	return &heldFile{RandomFile: file, disk: d}, nil
}

type heldFile struct {
	vfs.RandomFile
	disk *heldDisk
}

func (f *heldFile) Sync() error { return f.disk.sync(f.RandomFile) }

// reaches waits for an index that nobody is told of.
func (n *testNode) reaches(what string, index func(Status) uint64, want uint64) {
	n.cluster.t.Helper()
	looks := time.NewTicker(time.Millisecond)
	defer looks.Stop()
	for index(n.Status()) < want {
		select {
		case <-looks.C:
		case <-n.cluster.ctx.Done():
			n.cluster.t.Fatalf("%s: %s; status %+v", n.id, what, n.Status())
		}
	}
}

func lastIndex(s Status) uint64   { return s.LastLogIndex }
func commitIndex(s Status) uint64 { return s.CommitIndex }

// onHeldDisks is a cluster whose first node leads, and the disks of all.
func onHeldDisks(t *testing.T) (*cluster, []*heldDisk) {
	t.Helper()
	disks := []*heldDisk{newHeldDisk(), newHeldDisk(), newHeldDisk()}
	// Before the cluster is closed, which waits for the disks.
	c := newCluster(t, 3, patient, func(i int, o *Options) { o.FS = disks[i] })
	t.Cleanup(func() {
		for _, d := range disks {
			d.release()
		}
	})
	c.start()
	if leader := c.leader(); leader != c.nodes[0] {
		if err := leader.TransferLeadership(c.ctx, c.nodes[0].id); err != nil {
			t.Fatal(err)
		}
		c.nodes[0].mustAwait("does not lead", func(s Status) bool { return s.Ready })
	}
	c.nodes[0].mustPut("k", "old")
	return c, disks
}

// The followers have an entry before the leader's disk has it. Nothing may come of it until then: no answer, no read, no
// commit that a follower is told of.
func TestNothingComesOfAnEntryBeforeTheLeadersDiskHasIt(t *testing.T) {
	c, disks := onHeldDisks(t)
	leader := c.nodes[0]
	for _, n := range c.others(leader) {
		n.catchUp(leader)
	}
	before := leader.Status().LastLogIndex
	disks[0].hold()
	answer := background(func() fsm.Result { return leader.put("k", "new") })
	disks[0].awaitSync()
	for _, n := range c.others(leader) {
		n.reaches("has no entry", lastIndex, before+1)
	}
	leader.reaches("counts no majority", commitIndex, before+1)
	read := background(func() *kverr.Error { return leader.Confirm(c.ctx, c.deadline()) })
	// Many of the leader's messages, which say what is committed.
	select {
	case result := <-answer:
		t.Fatalf("the write was answered: %+v", result)
	case err := <-read:
		t.Fatalf("the read was answered: %v", err)
	case <-time.After(20 * patient.Commit):
	}
	for _, n := range c.others(leader) {
		if s := n.Status(); s.CommitIndex > before {
			t.Errorf("%s was told that %d is committed", n.id, s.CommitIndex)
		}
	}
	disks[0].release()
	if result := receive(t, answer); result.Err != nil {
		t.Fatal(result.Err)
	}
	if err := receive(t, read); err != nil {
		t.Fatal(err)
	}
	leader.mustGet("k", "new")
	for _, n := range c.others(leader) {
		n.catchUp(leader)
	}
}

// A leader that was deposed has entries that its disk has not. To its successor they count when they are durable.
func TestADeposedLeaderAnswersForWhatItsDiskHas(t *testing.T) {
	c, disks := onHeldDisks(t)
	old, next, away := c.nodes[0], c.nodes[1], c.nodes[2]
	c.network.cut(away.id, old.id, next.id)
	before := old.Status().LastLogIndex
	disks[0].hold()
	answer := background(func() fsm.Result { return old.put("k", "new") })
	disks[0].awaitSync()
	next.reaches("has no entry", lastIndex, before+1)
	next.campaign()
	next.mustAwait("does not lead", func(Status) bool { return next.raft.State() == raft.Leader })
	select {
	case result := <-answer:
		if result.Err == nil {
			t.Fatal("the old leader has acknowledged what its disk does not have")
		}
	case <-time.After(20 * patient.Commit):
	}
	if s := next.Status(); s.Ready {
		t.Fatal("the new leader counts an entry that no majority has on disk")
	}
	disks[0].release()
	next.mustAwait("is not ready", func(s Status) bool { return s.Ready })
	next.mustGet("k", "new")
}

// Raft asks the log whether it has what a leader sends. "Yes" is a promise.
func TestAFollowerLooksAtNothingThatIsNotDurable(t *testing.T) {
	disk := newHeldDisk()
	t.Cleanup(disk.release)
	log, err := raftlog.Open(t.TempDir(), raftlog.Options{
		FS: disk, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler), WALLog: hclog.NewNullLogger(), StallLimit: time.Minute,
		OnStall: func(err *stall.Error) { t.Error(err) }, OnFailure: func(err error) { t.Error(err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	leading := true
	leads := func() bool { return leading }
	guard := &logGuard{Log: log, snapshots: fakeSnapshots(0), onFatal: func(err *FatalError) { t.Error(err) }, configurations: noConfigurations()}
	store := func(index uint64, kind raft.LogType) {
		t.Helper()
		if err := guard.StoreLog(&raft.Log{Index: index, Term: 1, Type: kind}); err != nil {
			t.Fatal(err)
		}
	}
	store(1, raft.LogCommand)
	guard.leads.Store(&leads)
	store(2, raft.LogNoop)
	disk.hold()
	store(3, raft.LogCommand)
	if err := guard.GetLog(3, &raft.Log{}); err != nil {
		t.Fatalf("a leader cannot send what it writes: %v", err)
	}
	leading = false
	looked := background(func() error { return guard.GetLog(3, &raft.Log{}) })
	held := background(func() bool {
		return guard.holds(&raft.InstallSnapshotRequest{Term: 1, LastLogIndex: 3, LastLogTerm: 1}, 1)
	})
	disk.awaitSync()
	nothing(t, looked, "an entry that is not durable")
	nothing(t, held, "an entry that is not durable")
	disk.release()
	if err := receive(t, looked); err != nil {
		t.Error(err)
	}
	if !receive(t, held) {
		t.Error("the log holds its last entry")
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

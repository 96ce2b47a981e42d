package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/snapshot"
)

// fill writes keys, so that damage in the middle of a file hits one of them.
func (c *cluster) fill(from, to int, except ...*testNode) {
	c.t.Helper()
	leader := c.leader(except...)
	for i := from; i < to; i++ {
		leader.mustPut(fmt.Sprint("k", i), strings.Repeat(fmt.Sprint(i%10), 200))
	}
}

func (c *cluster) checkOn(n *testNode, to int) {
	c.t.Helper()
	n.catchUp(c.leader())
	for i := range to {
		record, found, err := n.Get([]byte(fmt.Sprint("k", i)))
		if err != nil || !found || string(record.Value) != strings.Repeat(fmt.Sprint(i%10), 200) {
			c.t.Fatalf("%s: k%d: %v %v", n.id, i, found, err)
		}
	}
}

// compact takes a snapshot and cuts the log, so that it does not reach back to its first entry.
func (n *testNode) compact(t *testing.T) {
	t.Helper()
	config := n.raft.ReloadableConfig()
	config.TrailingLogs = 1
	if err := n.raft.ReloadConfig(config); err != nil {
		t.Fatal(err)
	}
	if err := n.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	if first, err := n.log.FirstIndex(); err != nil || first == 1 {
		t.Fatalf("the log begins at %d: %v", first, err)
	}
}

func (n *testNode) asideDirectories(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(n.options.Dir, EngineDir+damagedSuffix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestADamagedEngineIsReplayedFromAWholeLog(t *testing.T) {
	c := startCluster(t, 1, brisk, nil)
	c.fill(0, 50)
	node := c.nodes[0]
	node.crash()
	node.damage(t, "MANIFEST")
	node.open() // nobody could seed it
	c.checkOn(node, 50)
	if node.asideDirectories(t) != 1 {
		t.Fatal("the damaged engine was not kept")
	}
}

func TestADamagedEngineIsSeededByAPeer(t *testing.T) {
	c := startCluster(t, 3, brisk, nil)
	c.fill(0, 50)
	broken, healthy := c.nodes[0], c.nodes[1]
	broken.catchUp(c.leader())
	broken.compact(t)
	broken.crash()
	broken.damage(t, "MANIFEST")
	c.fill(50, 80) // what the log of the broken node lacks, it gets from the leader as always
	healthy.catchUp(c.leader())

	seeding := make(chan struct{}, 1)
	refusals := 0
	broken.options.Seeding = func() { seeding <- struct{}{} }
	broken.options.Fetch = func(ctx context.Context, peer Peer, atLeast uint64) (io.ReadCloser, error) {
		if refusals++; refusals <= 3 {
			return nil, errors.New("not now")
		}
		stream, err := fetchFrom(healthy)(ctx, peer, atLeast)
		if refusals == 4 && err == nil {
			// A stream that breaks leaves no trace.
			defer stream.Close()
			return io.NopCloser(io.LimitReader(stream, 100)), nil
		}
		return stream, err
	}
	broken.open()
	receive(t, seeding)
	c.checkOn(broken, 80)
	// It is a full member: it can lead.
	if err := c.leader().TransferLeadership(c.ctx, broken.id); err != nil {
		t.Fatal(err)
	}
	c.fill(80, 90, c.others(broken)...)
	c.checkOn(broken, 90)
}

func TestADamagedEngineThatNobodyCanMend(t *testing.T) {
	c := startCluster(t, 1, brisk, nil)
	c.fill(0, 50)
	node := c.nodes[0]
	node.compact(t)
	node.crash()
	node.damage(t, "MANIFEST")
	var corrupt *engine.CorruptError
	for range 2 { // the same again, and nothing more is lost
		if err := node.tryOpen(c.ctx); !errors.As(err, &corrupt) {
			t.Fatalf("got %v", err)
		}
		node.Replica = nil
	}
	if node.asideDirectories(t) != 1 {
		t.Fatal("the damaged engine was not kept")
	}
}

func TestDamageThatIsMetWhileServing(t *testing.T) {
	c := startCluster(t, 1, brisk, nil)
	c.fill(0, 50)
	node := c.nodes[0]
	node.crash()
	node.open()
	c.leader()
	node.damage(t, ".seg")
	failed := 0
	for i := range 50 {
		if got, err := node.get(fmt.Sprint("k", i)); err != nil {
			failed++
		} else if got != strings.Repeat(fmt.Sprint(i%10), 200) {
			t.Fatalf("a wrong value was read: %q", got)
		}
	}
	if failed == 0 {
		t.Fatal("no read met the damage")
	}
	if fatal := receive(t, node.fatal); fatal.Cause != CauseDamage {
		t.Fatalf("got %v", fatal)
	}
	node.crash()
	node.open()
	c.checkOn(node, 50)
	if node.asideDirectories(t) != 1 {
		t.Fatal("the damaged engine was not kept")
	}
}

func TestOnlyTheNewestDamagedEngineIsKept(t *testing.T) {
	c := startCluster(t, 1, brisk, nil)
	c.fill(0, 10)
	node := c.nodes[0]
	bystander := filepath.Join(node.options.Dir, "7")
	if err := os.Mkdir(bystander, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		node.crash()
		node.damage(t, "MANIFEST")
		node.open()
		c.checkOn(node, 10)
	}
	if node.asideDirectories(t) != 1 {
		t.Fatalf("%d damaged engines are kept", node.asideDirectories(t))
	}
	if _, err := os.Stat(bystander); err != nil {
		t.Fatal(err)
	}
}

// A log with a gap is nothing that another engine would mend: the one that is there stays.
func TestALogWithAGapIsNoReasonToReplaceTheEngine(t *testing.T) {
	c := startCluster(t, 1, brisk, nil)
	c.fill(0, 20)
	node := c.nodes[0]
	node.compact(t)
	node.crash()
	if err := os.RemoveAll(filepath.Join(node.options.Dir, SnapshotsDir)); err != nil {
		t.Fatal(err)
	}
	var corrupt *snapshot.CorruptError
	if err := node.tryOpen(c.ctx); !errors.As(err, &corrupt) {
		t.Fatalf("got %v", err)
	}
	node.Replica = nil
	if node.asideDirectories(t) != 0 {
		t.Fatal("the engine was set aside")
	}
}

package move

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is two shards, and what may happen to them in the course of a move.
type world struct {
	t    *testing.T
	a, b *group

	mu sync.Mutex
	// seen are the moments of the move so far; strike is called at one of them.
	seen   []string
	moment string
	strike func()
	// cut keeps the importer from its giver.
	cut chan struct{}
	// checked are what the two shards' leaders held when that was looked at last. A table is replaced, never changed.
	checked [2]*[fsmcommand.Partitions]fsm.Holding
}

// group is a shard: a committed log and three state machines. What its leader proposes is committed at once; followers apply
// it when they come to lead.
type group struct {
	world *world
	name  string
	shard uint32
	nodes []*fsm.FSM
	// engines are the nodes', in the same order.
	engines []engine.Engine

	mu      sync.Mutex
	log     []*raft.Log
	timeMs  uint64
	term    uint64
	leading context.Context
	deposed context.CancelFunc
	changed chan struct{}
}

const nodesOfGroup = 3

func newWorld(t *testing.T) *world {
	w := &world{t: t, cut: make(chan struct{})}
	w.a, w.b = newGroup(w, "A", 1), newGroup(w, "B", 2)
	owned := []*command.PartitionRange{{First: 0, Last: fsmcommand.Partitions - 1}}
	w.a.must(&command.Command{Kind: &command.Command_Assign{Assign: &command.AssignPartitions{Epoch: 1, Owned: owned}}})
	w.b.must(&command.Command{Kind: &command.Command_Assign{Assign: &command.AssignPartitions{Epoch: 1}}})
	t.Cleanup(func() {
		w.a.close()
		w.b.close()
	})
	return w
}

func newGroup(w *world, name string, shard uint32) *group {
	return newGroupThatKeeps(w, name, shard, 0)
}

// newGroupThatKeeps is one whose exports keep so many bytes of changed keys.
func newGroupThatKeeps(w *world, name string, shard uint32, exportBytes int) *group {
	g := &group{world: w, name: name, shard: shard, changed: make(chan struct{})}
	for range nodesOfGroup {
		e := memory.New()
		node, err := fsm.New(e, fsm.Options{
			Shard: shard, Log: slog.New(slog.DiscardHandler), OnFatal: func(err error) { panic(err) }, ExportBytes: exportBytes,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		g.nodes, g.engines = append(g.nodes, node), append(g.engines, e)
	}
	g.elect()
	return g
}

func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deposed()
	for _, node := range g.nodes {
		node.Close()
	}
}

// elect makes the next node the leader. It has applied everything when it begins to lead.
func (g *group) elect() {
	g.world.mu.Lock()
	defer g.world.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.deposed != nil {
		g.deposed()
	}
	g.term++
	g.leading, g.deposed = context.WithCancel(context.Background())
	for _, entry := range g.log {
		if entry.Index > g.leader().Applied() {
			g.leader().Apply(entry)
		}
	}
	g.raise()
}

func (g *group) raise() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *group) leader() *fsm.FSM { return g.nodes[g.term%nodesOfGroup] }

// node is the leader as of now. It is deposed with the next election.
func (g *group) node() *node {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &node{group: g, term: g.term, fsm: g.leader(), leading: g.leading}
}

// commit appends what the leader of a term proposes. nil: it leads no more.
func (g *group) commit(term uint64, c *command.Command) *fsm.Applied {
	// One commit at a time in the whole world, so that nobody sees a moment between two of them.
	g.world.mu.Lock()
	defer g.world.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if term != g.term {
		return nil
	}
	g.timeMs++
	c.StampMs = g.timeMs
	data, err := fsmcommand.Encode(c, g.leader().Format())
	if err != nil {
		return &fsm.Applied{Err: kverr.Of(err)}
	}
	entry := &raft.Log{Index: uint64(len(g.log) + 1), Term: g.term, Data: data}
	g.log = append(g.log, entry)
	applied := g.leader().Apply(entry).(*fsm.Applied)
	g.raise()
	g.world.checkOwners()
	return applied
}

// checkOwners: a partition has at most one owner, at any moment. The world's lock is held, and so nothing is committed.
func (w *world) checkOwners() {
	if w.a == nil || w.b == nil {
		return
	}
	one, two := w.a.leader().Partitions(), w.b.leader().Partitions()
	if one == w.checked[0] && two == w.checked[1] {
		return
	}
	w.checked[0], w.checked[1] = one, two
	for number := range one {
		if isOwner(one[number]) && isOwner(two[number]) {
			panic("two shards own a partition")
		}
	}
}

func isOwner(h fsm.Holding) bool { return h.State == fsm.Owned || h.State == fsm.Frozen }

func (g *group) must(c *command.Command) {
	g.world.t.Helper()
	if applied := g.commit(g.node().term, c); applied == nil || applied.Err != nil {
		g.world.t.Fatalf("%v: %+v", c, applied)
	}
}

// later lets log time pass, with the next entry.
func (g *group) later(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timeMs += uint64(d.Milliseconds())
}

// same compares what all nodes hold, once all have applied everything.
func (g *group) same() {
	g.world.t.Helper()
	for range nodesOfGroup {
		g.elect()
	}
	want := content(g.world.t, g.engines[0])
	for _, e := range g.engines[1:] {
		if !bytes.Equal(content(g.world.t, e), want) {
			g.world.t.Fatalf("the nodes of %s have applied the same entries and differ", g.name)
		}
	}
}

func content(t *testing.T, e engine.Engine) []byte {
	t.Helper()
	view, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	var stream bytes.Buffer
	if _, err := view.WriteTo(&stream); err != nil {
		t.Fatal(err)
	}
	return stream.Bytes()
}

// node is one leadership, as a Shard.
type node struct {
	group   *group
	term    uint64
	fsm     *fsm.FSM
	leading context.Context
}

var _ Shard = (*node)(nil)

func (n *node) Propose(ctx context.Context, c *command.Command, _ time.Time) fsm.Result {
	name := n.group.name + " " + label(c)
	n.group.world.happens("before " + name)
	if ctx.Err() != nil {
		return fsm.Result{Err: kverr.NotApplied(pb.ErrorCode_ERROR_CODE_CANCELLED, "given up")}
	}
	applied := n.group.commit(n.term, c)
	if applied == nil {
		return fsm.Result{Err: kverr.NotApplied(pb.ErrorCode_ERROR_CODE_NOT_LEADER, "deposed")}
	}
	n.group.world.happens("after " + name)
	if n.leading.Err() != nil || ctx.Err() != nil {
		return fsm.Result{Err: kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "deposed, or given up")}
	}
	return fsm.Result{Already: applied.Already, Err: applied.Err}
}

func label(c *command.Command) string {
	switch kind := c.Kind.(type) {
	case *command.Command_Move:
		return kind.Move.Step.String()
	case *command.Command_Import:
		if len(kind.Import.Complete) > 0 {
			return "complete"
		}
		return "records"
	default:
		return "sweep"
	}
}

func (n *node) Leading() (context.Context, *kverr.Error) { return n.leading, nil }

func (n *node) Partitions() *[fsmcommand.Partitions]fsm.Holding { return n.fsm.Partitions() }

func (n *node) Changed() <-chan struct{} {
	n.group.mu.Lock()
	defer n.group.mu.Unlock()
	return n.group.changed
}

func (n *node) Keys(wanted func(uint16) bool, fn func([]byte) bool) error {
	return n.fsm.Keys(wanted, fn)
}

// happens notes a moment of the move, and strikes if it is the one.
func (w *world) happens(moment string) {
	w.mu.Lock()
	w.seen = append(w.seen, moment)
	strike := w.strike
	if strike == nil || moment != w.moment {
		strike = nil
	} else {
		w.strike = nil
	}
	w.mu.Unlock()
	if strike != nil {
		strike()
	}
}

// giver is group A as the importer sees it.
type giver struct {
	group   *group
	serving sync.WaitGroup
}

func (g *giver) Step(ctx context.Context, m *nodev1.MoveRequest) *kverr.Error {
	for {
		select {
		case <-g.group.world.cut:
			<-ctx.Done()
		default:
		}
		err := kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNAVAILABLE, "given up")
		if ctx.Err() == nil {
			err = g.group.node().Propose(ctx, Command(m), time.Time{}).Err
		}
		if err == nil || definite(err) || ctx.Err() != nil {
			return err
		}
	}
}

func (g *giver) Export(ctx context.Context, request *nodev1.ExportRequest) (Stream, *kverr.Error) {
	g.group.world.happens("before export")
	n := g.group.node()
	x, err := n.fsm.Export(request.Epoch, rangesOf(request.Partitions))
	if err != nil {
		return nil, err
	}
	s := &localStream{world: g.group.world, from: n, ctx: ctx, messages: make(chan *nodev1.ExportResponse), ended: make(chan error, 1)}
	g.serving.Go(func() {
		defer x.Close()
		s.ended <- Export(ctx, x, request.GetFormat(), s.send)
	})
	return s, nil
}

func (g *giver) Close() { g.serving.Wait() }

type localStream struct {
	world    *world
	from     *node
	ctx      context.Context
	messages chan *nodev1.ExportResponse
	ended    chan error
}

func (s *localStream) send(m *nodev1.ExportResponse) error {
	select {
	case s.messages <- m:
		return nil
	case <-s.from.leading.Done():
		return io.ErrUnexpectedEOF
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func (s *localStream) Recv() (*nodev1.ExportResponse, error) {
	s.world.happens("before receiving")
	select {
	case m := <-s.messages:
		switch {
		case m.CaughtUp:
			s.world.happens("caught up")
		case len(m.Complete) > 0:
			s.world.happens("received complete")
		}
		return m, nil
	case err := <-s.ended:
		if err == nil {
			err = io.EOF
		}
		return nil, err
	case <-s.from.leading.Done():
		return nil, io.ErrUnexpectedEOF
	}
}

// values are a shard's keys as it would serve them.
func (g *group) values() map[string]engine.Record {
	found := map[string]engine.Record{}
	n := g.node()
	keys := map[string]bool{}
	if err := n.Keys(func(uint16) bool { return true }, func(key []byte) bool {
		keys[string(key)] = true
		return true
	}); err != nil {
		g.world.t.Fatal(err)
	}
	for key := range maps.Keys(keys) {
		if r, ok, err := n.fsm.Get([]byte(key)); err == nil && ok {
			found[key] = r
		}
	}
	return found
}

package move

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"kvorum/node/clock"
	"kvorum/node/fsm"
	fsmcommand "kvorum/node/fsm/command"
	"kvorum/node/gen/command"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
	"kvorum/node/kverr"
)

// testLimit ends a test that hangs; nothing waits for it otherwise.
const testLimit = 30 * time.Second

// whole are all partitions: whatever the writers write is on the move.
func whole() []*nodev1.PartitionRange {
	return []*nodev1.PartitionRange{{First: 0, Last: fsmcommand.Partitions - 1}}
}

func (w *world) importer() *Importer {
	return &Importer{
		Clock: clock.Real(), Log: slog.New(slog.DiscardHandler),
		Connect: func(*nodev1.ImportRequest) Giver { return &giver{group: w.a} },
	}
}

// filled makes 300 records more than one entry.
var filled = bytes.Repeat([]byte("value"), 800)

// fill gives the giver some records that nobody writes while they move.
func (w *world) fill(n int) {
	batch := &command.WriteBatch{}
	for i := range n {
		batch.Writes = append(batch.Writes, &command.Write{Kind: &command.Write_Put{
			Put: &command.Put{Key: fmt.Appendf(nil, "key-%d", i), Value: filled},
		}})
	}
	w.a.must(&command.Command{Kind: &command.Command_Write{Write: batch}})
}

func (w *world) checkFilled(values int) {
	w.t.Helper()
	found := 0
	for _, g := range []*group{w.a, w.b} {
		for key, r := range g.values() {
			if len(key) > 4 && key[:4] == "key-" && bytes.Equal(r.Value, filled) && r.Version == 1 {
				found++
			}
		}
	}
	if found != values {
		w.t.Errorf("%d of %d records are there", found, values)
	}
}

// run carries out a move, and resolves what an interrupted one leaves, as control does. It says whether B owns the partitions.
func (w *world) run(ctx context.Context, i *Importer, epoch uint64) *kverr.Error {
	request := &nodev1.ImportRequest{Epoch: epoch, Partitions: whole(), FromShard: 1}
	return i.Import(ctx, w.b.node(), request, func(*nodev1.ImportResponse) error { return nil })
}

// resolve finds out from the giver's log what became of a move, and ends it either way.
func (w *world) resolve(epoch uint64) (moved bool) {
	w.t.Helper()
	thaw := w.propose(w.a, nodev1.MoveStep_MOVE_STEP_THAW, epoch)
	switch {
	case thaw == nil:
		if err := w.propose(w.b, nodev1.MoveStep_MOVE_STEP_DISCARD, epoch); err != nil {
			w.t.Fatalf("thawed, and not discarded: %v", err)
		}
		return false
	case thaw.Code == pb.ErrorCode_ERROR_CODE_PRECONDITION_FAILED && thaw.Epoch == epoch:
		if err := w.propose(w.b, nodev1.MoveStep_MOVE_STEP_ACTIVATE, epoch); err != nil {
			w.t.Fatalf("released, and not activated: %v", err)
		}
		return true
	default:
		w.t.Fatalf("thaw: %v", thaw)
		return false
	}
}

func (w *world) propose(g *group, step nodev1.MoveStep, epoch uint64) *kverr.Error {
	m := &nodev1.MoveRequest{Step: step, Epoch: epoch, Partitions: whole()}
	if step == nodev1.MoveStep_MOVE_STEP_FREEZE {
		m.FreezeMs = 1000
	}
	return g.commit(g.node().term, Command(m)).Err
}

// sweep lets both shards sweep until nothing is released.
func (w *world) sweep() {
	for _, g := range []*group{w.a, w.b} {
		ctx, cancel := context.WithCancel(context.Background())
		n := g.node()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			(&Sweeper{Shard: n, Clock: clock.Real(), Log: slog.New(slog.DiscardHandler)}).Run(ctx)
		}()
		for {
			changed := n.Changed()
			if len(releasedOf(n.Partitions())) == 0 {
				break
			}
			<-changed
		}
		cancel()
		<-ended
	}
}

// late delivers every message of a move once more, to both shards. Nothing may come of it.
func (w *world) late(epoch uint64) {
	w.t.Helper()
	a, b := *w.a.node().Partitions(), *w.b.node().Partitions()
	for step := nodev1.MoveStep_MOVE_STEP_IMPORT; step <= nodev1.MoveStep_MOVE_STEP_DISCARD; step++ {
		w.propose(w.a, step, epoch)
		w.propose(w.b, step, epoch)
	}
	if a != *w.a.node().Partitions() || b != *w.b.node().Partitions() {
		w.t.Error("a late message has changed something")
	}
}

func (w *world) owner() *group {
	w.t.Helper()
	for _, g := range []*group{w.a, w.b} {
		if !slices.ContainsFunc(g.node().Partitions()[:], func(h fsm.Holding) bool { return h.State != fsm.Owned }) {
			return g
		}
	}
	w.t.Error("nobody owns all partitions")
	return nil
}

func TestAMoveUnderWrites(t *testing.T) {
	w := newWorld(t)
	w.fill(1000)
	stop := w.writing(3)
	i := w.importer()
	defer i.Close()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	var last *nodev1.ImportResponse
	var phases []nodev1.ImportResponse_Phase
	request := &nodev1.ImportRequest{Epoch: 2, Partitions: whole(), FromShard: 1}
	err := i.Import(ctx, w.b.node(), request, func(now *nodev1.ImportResponse) error {
		if last == nil || last.Phase != now.Phase {
			phases = append(phases, now.Phase)
		}
		last = now
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if last.Phase != nodev1.ImportResponse_PHASE_ACTIVE || last.PauseUs == 0 || last.Records < 1000 || !slices.IsSorted(phases) {
		t.Fatalf("the last word is %v, the phases were %v", last, phases)
	}
	if w.owner() != w.b {
		t.Fatal("B does not own the partitions")
	}
	stop()
	w.checkFilled(1000)
	w.sweep()
	if left := w.keysOf(w.a); left != 0 {
		t.Fatalf("A holds %d keys after its sweep", left)
	}
	w.late(2)
	w.a.same()
	w.b.same()
	w.checkFilled(1000)
}

func (w *world) keysOf(g *group) int {
	n := 0
	if err := g.node().Keys(func(uint16) bool { return true }, func([]byte) bool { n++; return true }); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// An import that found records of an earlier one would bring back what was deleted in the meantime.
func TestAnEpochServesOnce(t *testing.T) {
	w := newWorld(t)
	if err := w.propose(w.b, nodev1.MoveStep_MOVE_STEP_IMPORT, 2); err != nil {
		t.Fatal(err)
	}
	i := w.importer()
	defer i.Close()
	if err := w.run(t.Context(), i, 2); !definite(err) {
		t.Fatalf("the second import of an epoch ended with %v", err)
	}
	if h := w.b.node().Partitions()[0]; h.State != fsm.Importing {
		t.Fatalf("it has changed the first one's state to %v", h)
	}
}

func TestTwoMovesOfAPartitionAreRefused(t *testing.T) {
	w := newWorld(t)
	i := w.importer()
	defer i.Close()
	reached, goOn := make(chan struct{}), make(chan struct{})
	w.moment, w.strike = "before export", func() { close(reached); <-goOn }
	first := make(chan *kverr.Error, 1)
	go func() { first <- w.run(t.Context(), i, 2) }()
	<-reached
	if err := w.run(t.Context(), i, 3); !definite(err) {
		t.Fatalf("the second move ended with %v", err)
	}
	close(goOn)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
}

func TestAShardThatDoesNotOwnGivesNothing(t *testing.T) {
	w := newWorld(t)
	i := w.importer()
	defer i.Close()
	i.Connect = func(*nodev1.ImportRequest) Giver { return &giver{group: w.b} }
	if err := w.run(t.Context(), i, 2); err == nil {
		t.Fatal("it was imported from nobody")
	}
	if h := w.b.node().Partitions()[0]; h.State != fsm.Released {
		t.Fatalf("what was begun was not discarded: %v", h)
	}
}

// A freeze that nobody ends does so by itself, and what was frozen cannot be released any more.
func TestAFreezeEndsByItself(t *testing.T) {
	w := newWorld(t)
	w.fill(10)
	i := w.importer()
	defer i.Close()
	w.moment, w.strike = "before A STEP_RELEASE", func() { w.a.later(freezeLimit) }
	err := w.run(t.Context(), i, 2)
	if !definite(err) {
		t.Fatalf("the move ended with %v", err)
	}
	if w.owner() != w.a || w.b.node().Partitions()[0].State != fsm.Released {
		t.Fatalf("A owns it: %v, B: %v", w.owner() == w.a, w.b.node().Partitions()[0])
	}
	w.sweep()
	w.late(2)
	if err := w.run(t.Context(), i, 3); err != nil {
		t.Fatal(err)
	}
	w.checkFilled(10)
}

func TestARateIsKept(t *testing.T) {
	c := clock.Real()
	p := &pace{clock: c, perSecond: 1 << 20}
	ctx, cancel := context.WithCancel(t.Context())
	began := c.Now()
	for range 4 {
		if err := p.wait(ctx, 64<<10); err != nil {
			t.Fatal(err)
		}
	}
	if took := c.Since(began); took < 3*62*time.Millisecond-paceBurst {
		t.Fatalf("256 KiB at 1 MiB/s took %s", took)
	}
	cancel()
	if err := p.wait(ctx, 1<<20); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

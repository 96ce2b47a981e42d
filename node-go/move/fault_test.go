package move

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kvorum/node/fsm"
	pb "kvorum/node/gen/errors"
	nodev1 "kvorum/node/gen/node/v1"
)

// moments are those of a move without faults, each once, in their order.
func moments(t *testing.T) []string {
	w := newWorld(t)
	w.fill(300)
	stop := w.writing(1)
	i := w.importer()
	defer i.Close()
	if err := w.run(t.Context(), i, 2); err != nil {
		t.Fatal(err)
	}
	stop()
	var once []string
	for _, moment := range w.seen {
		if !slices.Contains(once, moment) {
			once = append(once, moment)
		}
	}
	for _, must := range []string{
		"before B STEP_IMPORT", "after B STEP_IMPORT", "before export", "before B records", "after B records", "caught up",
		"before A STEP_FREEZE", "after A STEP_FREEZE", "received complete", "before B complete", "after B complete",
		"before A STEP_RELEASE", "after A STEP_RELEASE", "before B STEP_ACTIVATE", "after B STEP_ACTIVATE",
	} {
		if !slices.Contains(once, must) {
			t.Fatalf("a move has no moment %q: %q", must, once)
		}
	}
	return once
}

// outOfReach takes as long as the importer tries to clean up.
const outOfReach = "the giver is out of reach, and the importer is killed"

// faults are what may happen at a moment. Some kill the importer's process, some only what it talks to, some the caller.
var faults = map[string]func(w *world, i *Importer, leave context.CancelFunc){
	"the receiver's leader changes": func(w *world, _ *Importer, _ context.CancelFunc) { w.b.elect() },
	"the giver's leader changes":    func(w *world, _ *Importer, _ context.CancelFunc) { w.a.elect() },
	"both leaders change":           func(w *world, _ *Importer, _ context.CancelFunc) { w.a.elect(); w.b.elect() },
	"the caller goes":               func(_ *world, _ *Importer, leave context.CancelFunc) { leave() },
	"the importer is killed":        func(_ *world, i *Importer, _ context.CancelFunc) { go i.Close(); waitClosed(i) },
	outOfReach: func(w *world, i *Importer, _ context.CancelFunc) {
		close(w.cut)
		go i.Close()
		waitClosed(i)
	},
	"the freeze is over": func(w *world, _ *Importer, _ context.CancelFunc) { w.a.later(freezeLimit) },
}

// waitClosed returns when Close has ended the jobs; it waits for them then, one of which is who calls.
func waitClosed(i *Importer) {
	for {
		i.mu.Lock()
		closed := i.closed
		i.mu.Unlock()
		if closed {
			return
		}
	}
}

// Whatever happens when: the giver's log says afterwards who owns the partitions, no write is lost or doubled, and another move
// succeeds.
func TestAMoveThatIsInterrupted(t *testing.T) {
	all := moments(t)
	var forward, back atomic.Int32
	t.Run("all", func(t *testing.T) {
		for _, moment := range all {
			for name := range faults {
				if name == outOfReach && !strings.Contains(moment, " A ") {
					continue
				}
				t.Run(fmt.Sprintf("%s %s", moment, name), func(t *testing.T) {
					t.Parallel()
					if interrupt(t, moment, name) {
						forward.Add(1)
					} else {
						back.Add(1)
					}
				})
			}
		}
	})
	if forward.Load() == 0 || back.Load() == 0 {
		t.Fatalf("%d moves have gone forward, %d back", forward.Load(), back.Load())
	}
}

func interrupt(t *testing.T, moment, fault string) (moved bool) {
	w := newWorld(t)
	w.fill(300)
	stop := w.writingAtEase(2, time.Millisecond)
	i := w.importer()
	defer i.Close()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	w.moment, w.strike = moment, func() { faults[fault](w, i, leave) }
	err := w.run(ctx, i, 2)
	// Whoever resolves does not know whether the importer is still at work.
	moved = w.resolve(2)
	if err == nil && !moved {
		t.Fatal("the move has succeeded, and was undone")
	}
	i.Close()
	w.late(2)
	from, to := w.a, w.b
	if moved {
		from, to = w.b, w.a
	}
	if w.owner() != from {
		t.Fatalf("moved: %v, and the other shard owns the partitions", moved)
	}
	w.sweep()
	again := w.importer()
	again.Connect = func(*nodev1.ImportRequest) Giver { return &giver{group: from} }
	defer again.Close()
	// The faults have done their work.
	w.cut = make(chan struct{})
	request := &nodev1.ImportRequest{Epoch: 3, Partitions: whole(), FromShard: from.shard}
	if err := again.Import(t.Context(), to.node(), request, func(*nodev1.ImportResponse) error { return nil }); err != nil {
		t.Fatalf("the second move: %v", err)
	}
	if w.owner() != to {
		t.Fatal("the second move has changed nothing")
	}
	stop()
	w.sweep()
	w.late(2)
	w.late(3)
	w.checkFilled(300)
	w.a.same()
	w.b.same()
	return moved
}

// With its caller gone once the release is asked for, a move finishes what is left rather than leave the partitions to nobody.
func TestAMoveOutlivesItsCaller(t *testing.T) {
	for _, moment := range []string{"before A STEP_RELEASE", "after A STEP_RELEASE", "before B STEP_ACTIVATE"} {
		t.Run(moment, func(t *testing.T) {
			w := newWorld(t)
			w.fill(100)
			w.runForsaken(moment)
			if w.owner() != w.b {
				t.Fatal("the move was not finished")
			}
		})
	}
}

// A caller that goes before that takes its move with it: it is the one who tells clients of the new owner. The giver serves on,
// and no write waits for the end of a freeze that nobody needs.
func TestAMoveEndsWithItsCaller(t *testing.T) {
	for _, moment := range []string{
		"before B records", "caught up", "before A STEP_FREEZE", "after A STEP_FREEZE", "received complete", "after B complete",
	} {
		t.Run(moment, func(t *testing.T) {
			w := newWorld(t)
			w.fill(100)
			w.runForsaken(moment)
			if w.owner() != w.a || w.b.node().Partitions()[0] != (fsm.Holding{State: fsm.Released, Epoch: 2}) {
				t.Fatalf("A owns: %v, B has %v", w.owner() == w.a, w.b.node().Partitions()[0])
			}
			if slices.ContainsFunc(w.a.node().Partitions()[:], func(h fsm.Holding) bool { return h.State == fsm.Frozen }) {
				t.Fatal("the giver is still frozen")
			}
		})
	}
}

// runForsaken carries out a move whose caller goes at a moment, and returns when it has ended.
func (w *world) runForsaken(moment string) {
	w.t.Helper()
	i := w.importer()
	defer i.Close()
	ctx, leave := context.WithCancel(w.t.Context())
	defer leave()
	// Until the caller is gone, or the move may be finished before.
	held := make(chan struct{})
	w.moment, w.strike = moment, func() { leave(); <-held }
	err := w.run(ctx, i, 2)
	close(held)
	if err == nil || err.Outcome != pb.Outcome_OUTCOME_UNKNOWN || err.Code != pb.ErrorCode_ERROR_CODE_CANCELLED {
		w.t.Fatalf("the caller was told %v", err)
	}
	i.running.Wait()
}

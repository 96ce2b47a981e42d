package fsm

import (
	"context"
	"errors"
	"math/rand"
	"sync"
	"testing"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWaitersGoWhenTheirIndexIsReached(t *testing.T) {
	var p progress
	var all sync.WaitGroup
	order := rand.New(rand.NewSource(1)).Perm(1000)
	for _, index := range order {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := p.wait(t.Context(), uint64(index), nil); err != nil || p.reached.Load() < uint64(index) {
				t.Errorf("waited for %d, reached %d: %v", index, p.reached.Load(), err)
			}
		}()
	}
	for index := range 1000 {
		p.advance(uint64(index))
	}
	all.Wait()
	requireNobodyWaits(t, &p)
}

func TestAWaiterThatGivesUpLeavesNothing(t *testing.T) {
	var p progress
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	for index := range uint64(50) {
		go func() { errs <- p.wait(ctx, 10+index, nil) }()
	}
	awaitWaiters(&p, 50)
	p.advance(19)
	for range 10 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for range 40 {
		if err := <-errs; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	requireNobodyWaits(t, &p)
}

func TestProgressNeverGoesBack(t *testing.T) {
	var p progress
	p.advance(7)
	p.advance(5)
	if got := p.reached.Load(); got != 7 {
		t.Fatalf("reached %d", got)
	}
	if err := p.wait(t.Context(), 7, nil); err != nil {
		t.Fatal(err)
	}
}

func TestProgressCountsWhatTheEngineNeverSees(t *testing.T) {
	f := owner(t)
	f.StoreConfiguration(4, raft.Configuration{})
	if f.Applied() != 4 || f.engine.Applied() != 1 {
		t.Fatalf("applied %d, engine %d", f.Applied(), f.engine.Applied())
	}
	f.Passed(6)
	if err := f.WaitApplied(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	apply(t, f, 7, writes(put("k", "v")))
	if err := f.WaitApplied(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := f.WaitApplied(t.Context(), 8); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
}

// awaitWaiters spins until n wait: there is no event for it, and it is a matter of microseconds.
func awaitWaiters(p *progress, n int) {
	for {
		p.mu.Lock()
		waiting := len(p.waiting)
		p.mu.Unlock()
		if waiting >= n {
			return
		}
	}
}

func requireNobodyWaits(t *testing.T, p *progress) {
	t.Helper()
	if len(p.waiting) != 0 {
		t.Fatalf("%d waiters are left", len(p.waiting))
	}
}

func BenchmarkAdvanceWithWaiters(b *testing.B) {
	var p progress
	for i := range 10_000 {
		p.enter(uint64(1<<40 + i))
	}
	for i := 1; b.Loop(); i++ {
		p.advance(uint64(i))
	}
}

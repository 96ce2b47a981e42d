package bitcask

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/vfs/vfstest"
)

// TestFaultEverywhere fails each call of the workload once: with EIO, and a write also with a full disk after half of it.
// Nothing that was promised may be lost, whether the process starts again at once (with what the page cache has) or after
// a power cut, and the engine must not go on after a failure that leaves memory and disk different.
func TestFaultEverywhere(t *testing.T) {
	for name, fault := range map[string]vfstest.Fault{
		"EIO":    {Err: syscall.EIO},
		"ENOSPC": {Err: syscall.ENOSPC, Bytes: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults, seen := 0, map[sighting]bool{}
			for at := 1; ; at++ {
				hit, err := runWithFault(at, fault, seen)
				if err != nil {
					t.Fatalf("call %d, %s: %v", at, hit, err)
				}
				if hit == "" {
					break
				}
				faults++
			}
			if faults < 300 {
				t.Fatalf("only %d calls: the workload does not do what it should", faults)
			}
			t.Logf("%d calls", faults)
		})
	}
}

// runWithFault fails the at-th call and tells which one that was; "" if there were fewer.
func runWithFault(at int, fault vfstest.Fault, seen map[sighting]bool) (hit string, err error) {
	fs := vfstest.New()
	w := newWitness(fs)
	w.seen = seen // the content at an index is the same in every run
	calls := 0
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "stat" || fault.Err == syscall.ENOSPC && !op.Changes() {
			return vfstest.Fault{}
		}
		if calls++; calls != at {
			return vfstest.Fault{}
		}
		hit = fmt.Sprintf("%s %s", op.Call, op.Path)
		return fault
	})
	for _, step := range script(w) {
		err := step()
		if err == nil {
			continue
		}
		if !errors.Is(err, fault.Err) {
			return hit, fmt.Errorf("another error than the fault's: %w", err)
		}
		if err := w.goOn(); err != nil {
			return hit, err
		}
		break
	}
	return hit, w.afterwards()
}

// goOn is what a node does after an error: it goes on if the engine does, and is started again otherwise.
func (w *witness) goOn() error {
	if w.engine == nil || w.engine.broken() != nil {
		if err := w.start(); err != nil {
			return err
		}
	} else if err := w.states[w.engine.Applied()].Check(w.engine); err != nil {
		return fmt.Errorf("going on after a failure: %w", err)
	}
	return nil
}

// start opens the engine in a new process: the page cache is still there.
func (w *witness) start() error {
	if w.engine != nil {
		for _, v := range w.views {
			_ = v.Close()
		}
		w.views = nil
		if err := w.engine.Apply(engine.NewBatch(1 << 40)); err == nil {
			return errors.New("a broken engine applies a batch")
		}
		if _, err := w.engine.View(); err == nil {
			return errors.New("a broken engine gives views")
		}
		_ = w.engine.Close()
	}
	promised := w.durable
	if err := w.open(); err != nil {
		return fmt.Errorf("start again: %w", err)
	}
	if w.engine.Applied() < promised {
		return fmt.Errorf("started at %d, %d was promised", w.engine.Applied(), promised)
	}
	return w.states[w.engine.Applied()].Check(w.engine)
}

// afterwards works on without faults, then cuts the power in several ways.
func (w *witness) afterwards() error {
	w.fs.SetHook(nil)
	if w.engine.broken() != nil {
		if err := w.start(); err != nil {
			return err
		}
	}
	for _, step := range []func() error{func() error { return w.apply(9) }, w.sync, func() error { return w.apply(2) }} {
		if err := step(); err != nil {
			return err
		}
	}
	losses := vfstest.Losses(1)
	for _, name := range []string{"all", "content", "random 0"} {
		image := w.fs.Crash(losses[name])
		if !w.isNew(image, w.durable) {
			continue
		}
		if err := w.verify(image, w.durable); err != nil {
			return fmt.Errorf("crash afterwards, lost: %s: %w", name, err)
		}
	}
	return w.close()
}

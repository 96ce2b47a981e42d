package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/bitcask"
	"kvorum/node/vfs/vfstest"
)

// life is what a node does with its engine and its snapshots. acked is the newest snapshot that raft was told of, and has
// perhaps cut its log for.
type life struct {
	t     testing.TB
	e     engine.Engine
	s     *Store
	acked uint64
	// tries is how often a step is tried when it fails.
	tries int
}

func (l *life) run() error {
	return errors.Join(
		l.local(10, 10),
		l.local(20, 21),
		l.install(40, 30),
		l.local(45, 45),
		l.install(70, 60),
		l.install(71, 65), // twice in a row
	)
}

func (l *life) local(applied, index uint64) error {
	advance(l.t, l.e, applied-3)
	if _, err := l.e.Sync(context.Background()); err != nil {
		return err
	}
	advance(l.t, l.e, applied)
	return l.step(index, func() error { return take(l.s, index) })
}

func (l *life) install(applied, index uint64) error {
	stream := content(l.t, at(l.t, applied))
	return l.step(index, func() error {
		id, err := receive(l.s, index, 1, stream)
		if err != nil {
			return err
		}
		return restore(l.s, id)
	})
}

func (l *life) step(index uint64, do func() error) (err error) {
	for range max(1, l.tries) {
		if err = do(); err == nil {
			l.acked = index
			return nil
		}
	}
	return err
}

// Power is cut before every change that reaches the file system, with every pattern of loss. What comes up after that is
// whole: nothing that raft relied on is missing, and the content is exactly that of the entry it says.
func TestACrashAtEveryStep(t *testing.T) {
	steps := 0
	runLife(t, func(*life, *vfstest.FS) { steps++ })
	if steps < 50 {
		t.Fatalf("only %d steps", steps)
	}
	step := 0
	runLife(t, func(l *life, fsys *vfstest.FS) {
		step++
		for name, loss := range vfstest.Losses(3) {
			requireWhole(t, fmt.Sprintf("step %d, loss %q", step, name), fsys.Crash(loss), l.acked)
		}
	})
}

// runLife calls before ahead of each change.
func runLife(t *testing.T, before func(*life, *vfstest.FS)) {
	t.Helper()
	fsys := newFS(t)
	l := &life{t: t}
	e, err := bitcask.Open(engineDir, bitcask.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	l.e, l.s = e, openStore(t, fsys, e)
	fsys.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Changes() && strings.HasPrefix(op.Path, snapshotDir) {
			before(l, fsys)
		}
		return vfstest.Fault{}
	})
	if err := l.run(); err != nil {
		t.Fatal(err)
	}
	fsys.SetHook(nil)
	before(l, fsys)
}

func requireWhole(t *testing.T, where string, fsys *vfstest.FS, acked uint64) {
	t.Helper()
	e, err := bitcask.Open(engineDir, bitcask.Options{FS: fsys})
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	defer e.Close()
	s, err := Open(snapshotDir, Options{FS: fsys, Engine: e, Log: quiet()})
	if err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	if err := s.FinishRestore(logOf(t, 1, 100, 1)); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	newest, ok := s.Newest()
	if acked > 0 && (!ok || newest.Index < acked) || e.Synced() < newest.Needs {
		t.Fatalf("%s: snapshot %d was acknowledged; there is %+v, the engine has synced %d", where, acked, newest, e.Synced())
	}
	requireContentAt(t, e, e.Applied())
	requireTidy(t, where, s, fsys)
}

// requireTidy: every file is a listed snapshot's metadata, and there are at most two.
func requireTidy(t *testing.T, where string, s *Store, fsys *vfstest.FS) {
	t.Helper()
	metas, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{}
	for _, m := range metas {
		want = append(want, m.ID+metaSuffix)
	}
	slices.Sort(want)
	if got := files(t, fsys); !slices.Equal(got, want) || len(want) > kept {
		t.Fatalf("%s: files %v, want %v", where, got, want)
	}
}

// Every change fails once. The step fails or succeeds as a whole, the next try succeeds, and a restart finds all in order.
func TestAFaultAtEveryStep(t *testing.T) {
	steps := 0
	runLife(t, func(*life, *vfstest.FS) { steps++ })
	for failing := range steps - 1 {
		where := fmt.Sprintf("fault at step %d", failing)
		fsys := newFS(t)
		e, err := bitcask.Open(engineDir, bitcask.Options{FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		l := &life{t: t, e: e, s: openStore(t, fsys, e), tries: 2}
		step := -1
		fsys.SetHook(func(op vfstest.Op) vfstest.Fault {
			if op.Changes() && strings.HasPrefix(op.Path, snapshotDir) {
				if step++; step == failing {
					return vfstest.Fault{Err: syscall.EIO}
				}
			}
			return vfstest.Fault{}
		})
		if err := l.run(); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		newest, _ := l.s.Newest()
		if newest.Index != 65 {
			t.Fatalf("%s: the newest snapshot is %+v", where, newest)
		}
		_, source, err := l.s.Open(newest.ID)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		if _, err := io.Copy(io.Discard, source); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		if err := errors.Join(source.Close(), e.Close()); err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		fsys.SetHook(nil)
		requireWhole(t, where, fsys, 65)
		requireWhole(t, where+" and a crash", fsys.Crash(vfstest.Losses(0)["all"]), 65)
	}
}

package bitcask

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kvorum/node/engine"
	"kvorum/node/vfs"
	"kvorum/node/vfs/vfstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptionsReportEveryFault(t *testing.T) {
	_, err := Open("/nowhere", Options{FS: vfstest.New(), SegmentBytes: 1, SyncBytes: -1, MergeRatio: 2, OpenFiles: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"SegmentBytes", "SyncBytes", "MergeRatio", "OpenFiles"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	e, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var locked *vfs.LockedError
	if _, err := Open(dir, Options{}); !errors.As(err, &locked) {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); !errors.Is(err, engine.ErrClosed) {
		t.Fatal(err)
	}
}

// TestCleanOpenWritesNothing: what is on the disk already says everything.
func TestCleanOpenWritesNothing(t *testing.T) {
	w := newWitness(vfstest.New())
	must(t, w.open(), w.apply(50), w.merge(), w.hints(), w.reopen(), w.reopen(), w.close())
	w.fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Changes() && op.Call != "mkdir" && op.Path != filepath.Dir(testDir) {
			t.Errorf("%s %s", op.Call, op.Path)
		}
		return vfstest.Fault{}
	})
	must(t, w.open(), w.states[50].Check(w.engine), w.close())
}

// TestHintsAreUsed opens without reading a single value.
func TestHintsAreUsed(t *testing.T) {
	w := newWitness(vfstest.New())
	must(t, w.open(), w.apply(100), w.merge(), w.apply(60), w.sync(), w.hints(), w.close())
	reads := map[string]int{}
	w.fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "read" && filepath.Ext(op.Path) == segmentSuffix {
			reads[op.Path]++
		}
		return vfstest.Fault{}
	})
	must(t, w.open())
	w.fs.SetHook(nil)
	for _, s := range w.engine.version.segments {
		if s != w.engine.head && (reads[s.path] != 1 || !s.hinted) {
			t.Errorf("%s: %d reads, hint %t: only the header should be read", s.path, reads[s.path], s.hinted)
		}
	}
	must(t, w.states[160].Check(w.engine), w.close())
}

// TestKeeper waits for what the engine does by itself.
func TestKeeper(t *testing.T) {
	fs := vfstest.New()
	must(t, fs.MkdirAll("/data"))
	merged := make(chan struct{}, 1000)
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "remove" && filepath.Ext(op.Path) == segmentSuffix {
			merged <- struct{}{}
		}
		return vfstest.Fault{}
	})
	e, err := Open(testDir, Options{FS: fs, SegmentBytes: 4 << 10, SyncBytes: 1 << 10})
	must(t, err)
	w := &witness{fs: fs, engine: e, states: newWitness(vfstest.New()).states}
	for len(merged) == 0 {
		must(t, w.apply(20))
	}
	if e.Synced() == 0 {
		t.Error("nothing was synced")
	}
	must(t, w.states[e.Applied()].Check(e), e.Close())
	if open := fs.OpenFiles(); open != 0 {
		t.Errorf("%d files are open after Close", open)
	}
}

// TestOpenFilesAreBounded reads from many segments at once.
func TestOpenFilesAreBounded(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	must(t, w.open(), w.apply(300), w.sync())
	if n := len(w.engine.version.segments); n < 8 {
		t.Fatalf("only %d segments", n)
	}
	bound := w.engine.options.OpenFiles + 1 // and the head's writer
	v, err := w.engine.View()
	must(t, err)
	for range 2 {
		err = v.Ascend(nil, nil, func(engine.Record) bool {
			if open := fs.OpenFiles(); open > bound {
				t.Errorf("%d files are open", open)
				return false
			}
			return true
		})
		must(t, err)
	}
	must(t, v.Close(), w.close())
}

// TestOpenOnAFile: a path that is a file is an error, not a panic.
func TestOpenOnAFile(t *testing.T) {
	fs := vfstest.New()
	must(t, vfs.WriteFile(fs, "/data", []byte("x")))
	var failed *engine.IOError
	if _, err := Open("/data", Options{FS: fs}); !errors.As(err, &failed) {
		t.Fatal(err)
	}
}

// TestForeignFilesStay: what is not ours is not touched.
func TestForeignFilesStay(t *testing.T) {
	w := newWitness(vfstest.New())
	must(t, w.open(), w.apply(20), w.close())
	foreign := []string{"notes.txt", "1.seg", "0000000001.seg.bak", "x.hint", "00000000001.seg"}
	ours := []string{"0000000099.seg", "0000000098.hint", "0000000097.hint.tmp", "MANIFEST.tmp"}
	for _, name := range append(foreign, ours...) {
		must(t, vfs.WriteFile(w.fs, filepath.Join(testDir, name), []byte("x")))
	}
	must(t, w.open(), w.close())
	for _, name := range foreign {
		if _, err := w.fs.Stat(filepath.Join(testDir, name)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range ours {
		if _, err := w.fs.Stat(filepath.Join(testDir, name)); !isNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

// TestSyncsShareTheWork: a Sync with nothing to do does nothing.
func TestSyncsShareTheWork(t *testing.T) {
	w := newWitness(vfstest.New())
	must(t, w.open(), w.apply(10), w.sync())
	w.fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		t.Errorf("%s %s", op.Call, op.Path)
		return vfstest.Fault{}
	})
	must(t, w.sync(), w.sync())
	w.fs.SetHook(nil)
	must(t, w.close())
}

// TestOneWritePerBatch and one read per Get.
func TestOneWritePerBatch(t *testing.T) {
	w := newWitness(vfstest.New())
	must(t, w.open(), w.apply(3))
	var calls []string
	w.fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		calls = append(calls, op.Call)
		return vfstest.Fault{}
	})
	must(t, w.apply(1))
	if strings.Join(calls, " ") != "write" {
		t.Fatal(calls)
	}
	record := w.anyRecord(4)
	for range 2 {
		if _, found, err := w.engine.Get(record.Key); !found || err != nil {
			t.Fatal(found, err)
		}
	}
	if strings.Join(calls, " ") != "write open read read" {
		t.Fatal(calls)
	}
	w.fs.SetHook(nil)
	must(t, w.close())
}

// TestReadErrorIsNoDamage: a read that fails says nothing about the data.
func TestReadErrorIsNoDamage(t *testing.T) {
	w := newWitness(vfstest.New())
	must(t, w.open(), w.apply(5))
	record := w.anyRecord(5)
	w.fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "read" {
			return vfstest.Fault{Err: io.ErrClosedPipe}
		}
		return vfstest.Fault{}
	})
	var failed *engine.IOError
	if _, _, err := w.engine.Get(record.Key); !errors.As(err, &failed) {
		t.Fatal(err)
	}
	w.fs.SetHook(nil)
	if _, found, err := w.engine.Get(record.Key); !found || err != nil {
		t.Fatal(found, err)
	}
	must(t, w.reopen(), w.close())
}

// TestFailedSyncIsNotTriedAgain: every later call fails, though the disk would work again.
func TestFailedSyncIsNotTriedAgain(t *testing.T) {
	w := newWitness(vfstest.New())
	must(t, w.open(), w.apply(5), w.sync(), w.apply(5))
	broken := errors.New("disk is broken")
	w.fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "fsync" {
			return vfstest.Fault{Err: broken}
		}
		return vfstest.Fault{}
	})
	if err := w.sync(); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	w.fs.SetHook(nil)
	ctx := context.Background()
	_, syncErr := w.engine.Sync(ctx)
	_, viewErr := w.engine.View()
	_, _, getErr := w.engine.Get([]byte("key-01"))
	for i, err := range []error{syncErr, viewErr, getErr, w.engine.Apply(engine.NewBatch(99)), w.engine.Merge(ctx)} {
		if !errors.Is(err, broken) {
			t.Errorf("call %d after a failed fsync: %v", i, err)
		}
	}
	if err := w.engine.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, w.open())
	if w.engine.Applied() != 5 {
		t.Fatalf("opened at %d: what the failed fsync should have written is believed", w.engine.Applied())
	}
	must(t, w.states[5].Check(w.engine), w.close())
}

// TestEvictionSparesReaders evicts a file in the middle of a read from it.
func TestEvictionSparesReaders(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	must(t, w.open(), w.apply(300), w.sync())
	busy := false
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "read" && !busy {
			busy = true
			must(t, w.states[300].Check(w.engine)) // reads from many other files
			busy = false
		}
		return vfstest.Fault{}
	})
	record := w.anyRecord(300)
	if _, found, err := w.engine.Get(record.Key); !found || err != nil {
		t.Fatal(found, err)
	}
	fs.SetHook(nil)
	must(t, w.close())
	if open := fs.OpenFiles(); open != 0 {
		t.Errorf("%d files are open after Close", open)
	}
}

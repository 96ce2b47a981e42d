package bitcask

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/enginetest"
	"kvorum/node/vfs"
	"kvorum/node/vfs/vfstest"
)

// TestMergeUnderWrites merges without pause while keys are written, deleted and written again, with views open on the way.
func TestMergeUnderWrites(t *testing.T) {
	dir := t.TempDir()
	options := Options{SegmentBytes: 4 << 10, SyncBytes: 1 << 10, OpenFiles: 3}
	e, err := Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var merger sync.WaitGroup
	merger.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := e.Merge(context.Background()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	model := enginetest.Content{}
	var views []engine.View
	var thens []enginetest.Content
	for i := uint64(1); i <= 1500; i++ {
		b := batchOf(i)
		if err := e.Apply(b); err != nil {
			t.Fatal(err)
		}
		model.Apply(b)
		if i%100 != 50 {
			continue
		}
		v, err := e.View()
		if err != nil {
			t.Fatal(err)
		}
		views, thens = append(views, v), append(thens, maps.Clone(model))
		if err := model.Check(e); err != nil {
			t.Fatal(i, err)
		}
	}
	close(done)
	merger.Wait()
	for i, v := range views {
		if err := errors.Join(thens[i].CheckView(v), v.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(model.Check(e), e.Close()); err != nil {
		t.Fatal(err)
	}
	if e, err = Open(dir, options); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(model.Check(e), e.Close()); err != nil {
		t.Fatal("opened again:", err)
	}
}

// TestMergeGivesSpaceBack also looks at what must not be kept: deletions, files, and a second pass that has nothing to do.
func TestMergeGivesSpaceBack(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	must(t, w.open(), w.apply(200), w.merge())
	stats := w.engine.Stats()
	if stats.DeadBytes != 0 || stats.Merges != 1 {
		t.Fatalf("after a merge: %+v", stats)
	}
	if overhead := stats.TotalBytes - stats.LiveBytes; overhead > int64(stats.Segments)*(segmentHeaderBytes+recordHeaderBytes) {
		t.Fatalf("%d bytes of overhead in %d segments", overhead, stats.Segments)
	}
	for _, s := range w.engine.version.segments {
		if int64(len(readFile(t, fs, s.path))) != s.bytes {
			t.Fatalf("%s does not have %d bytes", s.path, s.bytes)
		}
	}
	if files := dataFiles(t, fs); len(files) != stats.Segments {
		t.Fatalf("%d segments, files %v", stats.Segments, files)
	}
	must(t, w.merge())
	if again := w.engine.Stats(); again.Merges != 1 {
		t.Fatalf("a second merge did something: %+v", again)
	}
	must(t, w.deleteAll(), w.merge())
	if stats := w.engine.Stats(); stats.Keys != 0 || stats.Segments != 1 || stats.TotalBytes != segmentHeaderBytes {
		t.Fatalf("after everything was deleted: %+v", stats)
	}
	must(t, w.reopen(), w.states[w.engine.Applied()].Check(w.engine), w.close())
}

// TestDeletedKeysStayDeleted: a record that a deletion hides lies in an older segment that is otherwise alive, and too full to
// be merged together with the deletion's.
func TestDeletedKeysStayDeleted(t *testing.T) {
	w := newWitness(vfstest.New())
	must(t, w.open())
	fill := func(key string) engine.Record {
		return engine.Record{Key: []byte(key), Value: bytes.Repeat([]byte{'v'}, 900)}
	}
	b := engine.NewBatch(1)
	b.Put(engine.Record{Key: []byte("gone")})
	for _, key := range []string{"a", "b", "c", "d"} {
		b.Put(fill(key))
	}
	must(t, w.engine.Apply(b), w.merge()) // a packed segment, all of it alive
	b.Reset(2)
	b.Delete([]byte("gone"))
	for _, key := range []string{"e", "f", "g", "h"} {
		b.Put(fill(key))
	}
	must(t, w.engine.Apply(b), w.merge(), w.engine.Close())
	must(t, w.open())
	if _, found, err := w.engine.Get([]byte("gone")); found || err != nil {
		t.Fatal("a deleted key is back", err)
	}
	if stats := w.engine.Stats(); stats.Segments != 3 || stats.DeadBytes != 0 {
		t.Fatalf("%+v", stats)
	}
	must(t, w.engine.Close())
}

// TestMergeSettles: neighbours that would not quite fit into one segment must not be rewritten for ever.
func TestMergeSettles(t *testing.T) {
	for size := 1900; size < 2040; size += 4 {
		w := newWitness(vfstest.New())
		must(t, w.open())
		for i, key := range []string{"a", "b"} {
			b := engine.NewBatch(uint64(i + 1))
			b.Put(engine.Record{Key: []byte(key), Value: make([]byte, size)})
			must(t, w.engine.Apply(b), w.engine.sealHead())
		}
		must(t, w.engine.merge(context.Background()))
		settled := w.engine.Stats()
		must(t, w.engine.merge(context.Background()))
		if again := w.engine.Stats(); again != settled {
			t.Fatalf("values of %d bytes: %+v, merged again: %+v", size, settled, again)
		}
		must(t, w.engine.Close())
	}
}

// TestFilesGoWithTheirLastView is about space that a view holds.
func TestFilesGoWithTheirLastView(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	must(t, w.open(), w.apply(60), w.view())
	before := dataFiles(t, fs)
	must(t, w.merge())
	for _, path := range before {
		if _, err := fs.Stat(path); err != nil {
			t.Fatal("a file that a view reads is gone:", err)
		}
	}
	held := w.engine.Stats().TotalBytes
	must(t, w.states[60].CheckView(w.views[0]), w.views[0].Close())
	w.views = nil
	if stats := w.engine.Stats(); stats.TotalBytes >= held || len(dataFiles(t, fs)) != stats.Segments {
		t.Fatalf("space is still held: %+v, %v", stats, dataFiles(t, fs))
	}
	must(t, w.close())
	if open := fs.OpenFiles(); open != 0 {
		t.Fatalf("%d files are open after Close", open)
	}
}

// TestNothingWaitsForAnFsync writes and reads during every fsync of Sync and Merge: it would hang if a lock were held.
func TestNothingWaitsForAnFsync(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	must(t, w.open(), w.apply(100))
	syncs, busy := 0, false
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if busy || op.Call != "fsync" && op.Call != "fsync-dir" {
			return vfstest.Fault{}
		}
		busy = true
		defer func() { busy = false }()
		syncs++
		must(t, w.apply(1))
		if _, _, err := w.engine.Get([]byte("key-01")); err != nil {
			t.Error(err)
		}
		v, err := w.engine.View()
		if err != nil {
			t.Fatal(err)
		}
		must(t, w.states[w.engine.Applied()].CheckView(v), v.Close())
		return vfstest.Fault{}
	})
	must(t, w.sync(), w.merge(), w.hints())
	fs.SetHook(nil)
	if syncs < 12 {
		t.Fatalf("only %d fsyncs", syncs)
	}
	must(t, w.states[w.engine.Applied()].Check(w.engine), w.reopen(), w.states[w.engine.Applied()].Check(w.engine), w.close())
}

// TestRestoreOvertakesMerge restores in the middle of a merge, at each of its calls.
func TestRestoreOvertakesMerge(t *testing.T) {
	for at := 1; ; at++ {
		fs := vfstest.New()
		w := newWitness(fs)
		must(t, w.open(), w.apply(40), w.take(), w.apply(60), w.engine.sealHead(), w.sync())
		calls, done := 0, false
		fs.SetHook(func(op vfstest.Op) vfstest.Fault {
			// While the manifest is being written, a Restore waits for its turn.
			if _, _, ours := parseName(filepath.Base(op.Path)); !ours || done {
				return vfstest.Fault{}
			}
			if calls++; calls == at {
				done = true
				must(t, w.restore())
			}
			return vfstest.Fault{}
		})
		must(t, w.engine.merge(context.Background()))
		fs.SetHook(nil)
		must(t, w.states[w.engine.Applied()].Check(w.engine), w.apply(5), w.merge(), w.reopen())
		must(t, w.states[w.engine.Applied()].Check(w.engine), w.close())
		if !done {
			if at < 20 {
				t.Fatalf("only %d calls", at)
			}
			break
		}
	}
}

// TestFullDiskDuringMerge: the merge fails, the engine goes on, and nothing is left over.
func TestFullDiskDuringMerge(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	must(t, w.open(), w.apply(100), w.sync(), w.hints())
	files := dataFiles(t, fs)
	full := errors.New("no space")
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "write" && filepath.Ext(op.Path) == segmentSuffix && op.Bytes > 1000 {
			return vfstest.Fault{Err: full, Bytes: 100}
		}
		return vfstest.Fault{}
	})
	if err := w.engine.merge(context.Background()); !errors.Is(err, full) {
		t.Fatal(err)
	}
	fs.SetHook(nil)
	if left := dataFiles(t, fs); fmt.Sprint(left) != fmt.Sprint(files) {
		t.Fatalf("left over: %v", left)
	}
	must(t, w.states[100].Check(w.engine), w.apply(10), w.merge(), w.states[110].Check(w.engine), w.close())
}

func TestMergeStops(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	must(t, w.open(), w.apply(150), w.sync())
	files := dataFiles(t, fs)
	ctx, cancel := context.WithCancel(context.Background())
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "create" {
			cancel()
		}
		return vfstest.Fault{}
	})
	if err := w.engine.merge(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	fs.SetHook(nil)
	if left := dataFiles(t, fs); fmt.Sprint(left) != fmt.Sprint(files) {
		t.Fatalf("left over: %v", left)
	}
	must(t, w.states[150].Check(w.engine), w.merge(), w.states[150].Check(w.engine), w.close())
}

func (w *witness) deleteAll() error {
	b := engine.NewBatch(w.engine.Applied() + 1)
	for key := range w.states[w.engine.Applied()] {
		b.Delete([]byte(key))
	}
	w.states[b.Index] = enginetest.Content{}
	return w.engine.Apply(b)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	data, err := vfs.ReadFile(fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(data)
}

func dataFiles(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, name := range names {
		if filepath.Ext(name) == segmentSuffix {
			paths = append(paths, filepath.Join(testDir, name))
		}
	}
	return paths
}

// TestMergeTrustsOnlyWhatIsDurable applies batches while the merge makes its moment durable: what they supersede must not be
// thrown away, for a power cut may take them. Nor may the merge's manifest hide them from a process that only dies.
func TestMergeTrustsOnlyWhatIsDurable(t *testing.T) {
	fs := vfstest.New()
	w := newWitness(fs)
	must(t, w.open(), w.apply(60), w.engine.sealHead(), w.sync(), w.apply(3))
	applied, busy := false, false
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if busy || !op.Changes() {
			return vfstest.Fault{}
		}
		if op.Call == "fsync" && !applied {
			applied, busy = true, true
			must(t, w.apply(20))
			busy = false
		}
		for name, loss := range vfstest.Losses(2) {
			image := fs.Crash(loss)
			if !w.isNew(image, w.promised(name)) {
				continue
			}
			if err := w.verify(image, w.promised(name)); err != nil {
				t.Fatalf("before %s %s, lost: %s: %v", op.Call, op.Path, name, err)
			}
		}
		return vfstest.Fault{}
	})
	must(t, w.engine.merge(context.Background()))
	fs.SetHook(nil)
	if w.engine.Stats().Merges != 1 {
		t.Fatal("nothing was merged")
	}
	must(t, w.close())
}

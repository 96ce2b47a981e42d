package bitcask

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/enginetest"
	"kvorum/node/vfs/vfstest"
)

const testDir = "/data/engine"

// witness drives an engine through a script and knows at every moment what a crash may leave.
type witness struct {
	fs     *vfstest.FS
	engine *Engine
	// states are all contents of this generation (since the last Restore), by applied index: the newest may be under way.
	states map[uint64]enginetest.Content
	// durable is what the last Sync, Restore or Open has promised.
	durable uint64
	// acknowledged is the last batch whose Apply has returned.
	acknowledged uint64
	// restored is the outcome of a Restore that is under way.
	restored map[uint64]enginetest.Content
	stream   []byte
	streamOf enginetest.Content
	views    []engine.View
	manifest manifest
	// generation counts finished Restores.
	generation int
	seen       map[sighting]bool
}

func newWitness(fs *vfstest.FS) *witness {
	if err := fs.MkdirAll("/data"); err != nil {
		panic(err)
	}
	if err := fs.SyncDir("/"); err != nil {
		panic(err)
	}
	return &witness{fs: fs, states: map[uint64]enginetest.Content{0: {}}, seen: map[sighting]bool{}}
}

func testOptions(fs *vfstest.FS) Options {
	return Options{FS: fs, SegmentBytes: 4 << 10, OpenFiles: 2, Idle: true}
}

func (w *witness) open() error {
	e, err := Open(testDir, testOptions(w.fs))
	if err != nil {
		return err
	}
	w.engine, w.durable, w.acknowledged = e, e.Applied(), e.Applied()
	return nil
}

func (w *witness) close() error {
	for _, v := range w.views {
		if err := v.Close(); err != nil {
			return err
		}
	}
	w.views = nil
	return w.engine.Close()
}

// batchOf is the same batch for an index, whatever happened before.
func batchOf(index uint64) *engine.Batch {
	b := engine.NewBatch(index)
	for i := range index % 4 {
		b.Put(engine.Record{
			Key: fmt.Appendf(nil, "key-%02d", (index*5+i*3)%23), Value: bytes.Repeat([]byte{byte('a' + index%26)}, int(index*37%300)),
			Version: index, Expiry: i,
		})
	}
	if index%3 == 0 {
		b.Delete(fmt.Appendf(nil, "key-%02d", index%23))
	}
	return b
}

func (w *witness) apply(n int) error {
	for range n {
		applied := w.engine.Applied()
		b := batchOf(applied + 1)
		next := maps.Clone(w.states[applied])
		next.Apply(b)
		w.states[b.Index] = next
		if err := w.engine.Apply(b); err != nil {
			return err
		}
		w.acknowledged = b.Index
	}
	return nil
}

func (w *witness) sync() error {
	synced, err := w.engine.Sync(context.Background())
	if err == nil {
		w.durable = synced
	}
	return err
}

func (w *witness) merge() error { return w.engine.Merge(context.Background()) }

func (w *witness) hints() error { return w.engine.writeHints(context.Background()) }

func (w *witness) view() error {
	v, err := w.engine.View()
	if err == nil {
		w.views = append(w.views, v)
	}
	return err
}

func (w *witness) take() error {
	v, err := w.engine.View()
	if err != nil {
		return err
	}
	defer v.Close()
	var to bytes.Buffer
	_, err = v.WriteTo(&to)
	w.stream, w.streamOf = to.Bytes(), w.states[v.Applied()]
	return err
}

func (w *witness) restore() error {
	stream, err := engine.NewStreamReader(bytes.NewReader(w.stream))
	if err != nil {
		return err
	}
	w.restored = map[uint64]enginetest.Content{stream.Applied(): w.streamOf}
	defer func() { w.restored = nil }()
	if _, err := w.engine.Restore(bytes.NewReader(w.stream)); err != nil {
		if w.engine.broken() != nil {
			// Either may be on the disk.
			w.states[stream.Applied()] = w.streamOf
			w.durable = min(w.durable, stream.Applied())
		}
		return err
	}
	w.states, w.durable, w.acknowledged = w.restored, stream.Applied(), stream.Applied()
	w.generation++
	return nil
}

func (w *witness) reopen() error {
	if err := w.close(); err != nil {
		return err
	}
	return w.open()
}

// script exercises every path that writes: rotation, sync, hints, merges with a view open, restore, reopening.
func script(w *witness) []func() error {
	applied := func(n int) func() error { return func() error { return w.apply(n) } }
	return []func() error{
		w.open, applied(3), w.sync, applied(20), w.sync, w.hints, applied(25), w.merge, w.reopen,
		applied(12), w.view, applied(30), w.sync, w.take, applied(9), w.merge, applied(5), w.hints, w.sync,
		w.restore, applied(6), w.sync, applied(20), w.merge, w.reopen, applied(14), w.reopen, applied(4), w.close,
	}
}

// isNew says whether this image has not been looked at with what is promised now: the outcome would be the same.
func (w *witness) isNew(image *vfstest.FS, promised uint64) bool {
	key := sighting{image.Fingerprint(), promised, w.generation}
	defer func() { w.seen[key] = true }()
	return !w.seen[key]
}

type sighting struct {
	image      [32]byte
	promised   uint64
	generation int
}

// promised is what must be there after a crash with that loss. A process that dies alone loses nothing it has written.
func (w *witness) promised(loss string) uint64 {
	if loss == "nothing" {
		return max(w.durable, w.acknowledged)
	}
	return w.durable
}

// verify opens what a crash has left and compares it with what may be there; then it goes on working.
func (w *witness) verify(image *vfstest.FS, least uint64) error {
	e, err := Open(testDir, testOptions(image))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	want, promised := w.states[e.Applied()], e.Applied() >= least
	if want == nil || !promised || want.Check(e) != nil {
		if other := w.restored[e.Applied()]; other != nil {
			want, promised = other, true
		}
	}
	if want == nil || !promised {
		return fmt.Errorf("opened at %d, %d was promised (known: %t)", e.Applied(), least, want != nil)
	}
	if err := want.Check(e); err != nil {
		return fmt.Errorf("at %d: %w", e.Applied(), err)
	}
	next := &witness{fs: image, engine: e, durable: e.Applied(), states: map[uint64]enginetest.Content{e.Applied(): maps.Clone(want)}}
	for _, step := range []func() error{func() error { return next.apply(3) }, next.merge, next.reopen} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := next.states[next.engine.Applied()].Check(next.engine); err != nil {
		return fmt.Errorf("after going on at %d: %w", next.engine.Applied(), err)
	}
	return next.close()
}

func TestScript(t *testing.T) {
	w := newWitness(vfstest.New())
	for i, step := range script(w) {
		if err := step(); err != nil {
			t.Fatal(i, err)
		}
		if i < len(script(w))-1 {
			if err := w.states[w.engine.Applied()].Check(w.engine); err != nil {
				t.Fatal(i, err)
			}
		}
	}
}

// anyRecord is one with a value, the same each time.
func (w *witness) anyRecord(index uint64) engine.Record {
	for i := range 23 {
		if r := w.states[index][fmt.Sprintf("key-%02d", i)]; len(r.Value) > 20 {
			return r
		}
	}
	panic("no record with a value")
}

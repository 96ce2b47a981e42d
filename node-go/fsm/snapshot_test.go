package fsm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/hashicorp/raft"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	errpb "kvorum/node/gen/errors"
)

func (b *broken) Sync(ctx context.Context) (uint64, error) {
	if b.sync != nil {
		return 0, b.sync
	}
	index, err := b.Engine.Sync(ctx)
	if b.synced != nil {
		index = b.synced(index)
	}
	return index, err
}

// keepingSink notes what it is told, as snapshot.Store's does.
type keepingSink struct {
	raft.DiscardSnapshotSink
	applied []uint64
}

func (k *keepingSink) KeepInEngine(applied uint64) error {
	k.applied = append(k.applied, applied)
	return nil
}

func persist(t *testing.T, f *FSM, sink raft.SnapshotSink, between func()) error {
	t.Helper()
	s, err := f.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	between()
	return s.Persist(sink)
}

func TestASnapshotIsAnEngineSync(t *testing.T) {
	f := owner(t)
	apply(t, f, 5, writes(put("k", "v")))
	sink := &keepingSink{}
	err := persist(t, f, sink, func() { apply(t, f, 6, writes(put("k", "w"))) })
	if err != nil || len(sink.applied) != 1 || sink.applied[0] != 5 {
		t.Fatalf("error %v, kept %v; want what was applied when it began", err, sink.applied)
	}
	if f.engine.Synced() < 5 {
		t.Fatal("the engine was not synced")
	}
}

func TestASnapshotNeedsWhatItSays(t *testing.T) {
	e := &broken{Engine: owner(t).engine, synced: func(index uint64) uint64 { return index - 1 }}
	sink := &keepingSink{}
	if err := persist(t, newFSM(t, e), sink, func() {}); err == nil || len(sink.applied) > 0 {
		t.Fatalf("error %v, kept %v of an engine that has synced less", err, sink.applied)
	}
	if err := persist(t, owner(t), &raft.DiscardSnapshotSink{}, func() {}); err == nil {
		t.Fatal("a store that cannot keep it in the engine was accepted")
	}
}

func TestAFailedSyncStopsIt(t *testing.T) {
	failure := errors.New("fsync failed")
	fatal := make(chan error, 1)
	f, err := New(&broken{Engine: owner(t).engine, sync: failure}, Options{Shard: 1, Log: quiet(), OnFatal: func(err error) { fatal <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := persist(t, f, &keepingSink{}, func() {}); !errors.Is(err, failure) {
		t.Fatal(err)
	}
	if err := <-fatal; !errors.Is(err, failure) {
		t.Fatal(err)
	}
}

func stream(t *testing.T, e engine.Engine) io.ReadCloser {
	return io.NopCloser(bytes.NewReader(content(t, e)))
}

func TestRestore(t *testing.T) {
	source := owner(t)
	for index := uint64(2); index < 50; index++ {
		apply(t, source, index, writes(put("k", "v"), remove("gone")))
	}
	f := newFSM(t, memory.New())
	waited := make(chan error)
	go func() { waited <- f.WaitApplied(t.Context(), 49) }()
	awaitWaiters(&f.progress, 1)
	if err := f.Restore(stream(t, source.engine)); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	requireValue(t, f, "k", "v", 48)
	if f.OwnershipEpoch() != 1 || !sameState(f.state, source.state) {
		t.Fatal("the state differs from the source's")
	}
	next := writes(put("k", "w"))
	apply(t, f, 50, next)
	apply(t, source, 50, next)
	if !bytes.Equal(content(t, f.engine), content(t, source.engine)) {
		t.Fatal("the content differs from the source's after the next entry")
	}
}

// What has been seen once stays: a snapshot that comes late must not take a newer state back.
func TestRestoreNeverGoesBack(t *testing.T) {
	f := owner(t)
	apply(t, f, 2, writes(put("k", "old")))
	old := stream(t, f.engine)
	apply(t, f, 3, writes(put("k", "new")))
	if err := f.Restore(old); err != nil {
		t.Fatal(err)
	}
	requireValue(t, f, "k", "new", 2)
	if f.engine.Synced() < 2 {
		t.Fatal("raft drops its log after a restore, but the engine was not synced")
	}
}

func TestABrokenStreamChangesNothing(t *testing.T) {
	source := newFSM(t, memory.New())
	number := uint32(command.Partition([]byte("k")))
	apply(t, source, 1, assign(1, span(number, number)))
	apply(t, source, 2, writes(put("k", "new")))
	whole := content(t, source.engine)
	f := newFSM(t, memory.New())
	apply(t, f, 1, assign(1, span(number, number)))
	before := content(t, f.engine)
	for cut := range whole {
		if err := f.Restore(io.NopCloser(bytes.NewReader(whole[:cut]))); err == nil {
			t.Fatalf("a stream of %d of %d bytes was restored", cut, len(whole))
		}
		flipped := bytes.Clone(whole)
		flipped[cut] ^= 0x10
		if err := f.Restore(io.NopCloser(bytes.NewReader(flipped))); err == nil {
			t.Fatalf("a stream with byte %d flipped was restored", cut)
		}
		requireAbsent(t, f, "k")
	}
	if !bytes.Equal(content(t, f.engine), before) || f.Applied() != 1 {
		t.Fatal("a broken stream has changed something")
	}
	if err := f.Restore(io.NopCloser(bytes.NewReader(whole))); err != nil {
		t.Fatal(err)
	}
	requireValue(t, f, "k", "new", 1)
}

// Get during a Restore has no whole state to read.
func TestGetDuringARestore(t *testing.T) {
	source := owner(t)
	apply(t, source, 2, writes(put("k", "v")))
	f := owner(t)
	reads := 0
	probe := readerFunc(func() {
		if f.table.Load() != nil {
			return
		}
		reads++
		_, _, err := f.Get([]byte("k"))
		requireCode(t, err, errpb.ErrorCode_ERROR_CODE_UNAVAILABLE)
	})
	if err := f.Restore(struct {
		io.Reader
		io.Closer
	}{io.MultiReader(stream(t, source.engine), probe), io.NopCloser(nil)}); err != nil {
		t.Fatal(err)
	}
	if reads == 0 {
		t.Fatal("the stream was read before the restore began")
	}
	requireValue(t, f, "k", "v", 1)
}

// readerFunc is an empty reader that calls a function when it is read.
type readerFunc func()

func (r readerFunc) Read([]byte) (int, error) {
	r()
	return 0, io.EOF
}

package snapshot

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/vfs"
	"kvorum/node/vfs/vfstest"
)

func TestALocalSnapshotCopiesNothing(t *testing.T) {
	fsys, e := newFS(t), at(t, 12)
	s := openStore(t, fsys, e)
	if got := list(t, s); len(got) != 0 {
		t.Fatalf("a new store has %v", got)
	}
	if err := take(s, 15); err != nil {
		t.Fatal(err)
	}
	if names := files(t, fsys); len(names) != 1 || !strings.HasSuffix(names[0], metaSuffix) {
		t.Fatalf("files %v", names)
	}
	metas, _ := openStore(t, fsys, e).List()
	if m := metas[0]; m.Index != 15 || m.Term != 1 || m.ConfigurationIndex != 3 || len(m.Configuration.Servers) != 2 || m.Version != 1 {
		t.Fatalf("after a restart: %+v", m)
	}
	if newest, ok := s.Newest(); !ok || newest.Index != 15 || newest.Needs != 12 {
		t.Fatalf("newest %+v", newest)
	}
}

func TestTwoSnapshotsStay(t *testing.T) {
	fsys, e := newFS(t), at(t, 3)
	s := openStore(t, fsys, e)
	for _, index := range []uint64{10, 20, 20, 100} {
		advance(t, e, index)
		if err := take(s, index); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, s); !slices.Equal(got, []uint64{100, 20}) || len(files(t, fsys)) != 2 {
		t.Fatalf("snapshots %v, files %v", got, files(t, fsys))
	}
	again := openStore(t, fsys, e)
	if got := list(t, again); !slices.Equal(got, []uint64{100, 20}) {
		t.Fatalf("after a restart: %v", got)
	}
	for range 10 {
		if k := create(t, again, 100, 1); slices.Contains(files(t, fsys), k.ID()+metaSuffix) {
			t.Fatal("an id was given twice")
		}
	}
}

// The view is newer than the snapshot, its size is exact, and it stays as it was pinned.
func TestOpenSendsTheEngineAsItIs(t *testing.T) {
	e := at(t, 10)
	s := openStore(t, newFS(t), e)
	if err := take(s, 10); err != nil {
		t.Fatal(err)
	}
	advance(t, e, 20)
	newest, _ := s.Newest()
	meta, source, err := s.Open(newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	advance(t, e, 30)
	if err := take(s, 30); err != nil { // a local snapshot meanwhile
		t.Fatal(err)
	}
	data := readAll(t, source)
	if meta.Index != 10 || meta.Size != int64(len(data)) || !bytes.Equal(data, content(t, at(t, 20))) {
		t.Fatalf("meta %+v, %d bytes", meta, len(data))
	}
	if err := source.Close(); err != nil {
		t.Fatalf("closed again: %v", err)
	}
}

// busyViews is an engine whose views complain when they are closed while they are written.
type busyViews struct {
	engine.Engine
	t *testing.T
}

type busyView struct {
	engine.View
	t       *testing.T
	writing atomic.Bool
}

func (b busyViews) View() (engine.View, error) {
	view, err := b.Engine.View()
	return &busyView{View: view, t: b.t}, err
}

func (b *busyView) WriteTo(w io.Writer) (int64, error) {
	b.writing.Store(true)
	defer b.writing.Store(false)
	n, err := b.View.WriteTo(w)
	for range 1000 { // let Close go first, if it does not wait
		runtime.Gosched()
	}
	return n, err
}

func (b *busyView) Close() error {
	if b.writing.Load() {
		b.t.Error("the view is closed while it is written")
	}
	return b.View.Close()
}

func TestASenderMayStopAnywhere(t *testing.T) {
	e := busyViews{openEngine(t, newFS(t)), t}
	advance(t, e, 100)
	s := openStore(t, newFS(t), e)
	if err := take(s, 100); err != nil {
		t.Fatal(err)
	}
	newest, _ := s.Newest()
	for _, bytes := range []int64{0, 1, 200} {
		_, source, err := s.Open(newest.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, source, bytes); err != nil {
			t.Fatal(err)
		}
		if err := source.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	s := openStore(t, newFS(t), at(t, 10))
	if _, _, err := s.Open("none"); err == nil {
		t.Fatal("opened a snapshot that there is not")
	}
	if err := take(s, 10); err != nil {
		t.Fatal(err)
	}
	s.engine = at(t, 9)
	newest, _ := s.Newest()
	if _, _, err := s.Open(newest.ID); err == nil {
		t.Fatal("sent an engine that has less than the snapshot")
	}
}

func TestAnInstallIsAFileUntilItIsRestored(t *testing.T) {
	fsys := newFS(t)
	e := openEngine(t, fsys)
	advance(t, e, 5)
	s := openStore(t, fsys, e)
	stream := content(t, at(t, 40))
	id, err := receive(s, 30, 2, stream)
	if err != nil {
		t.Fatal(err)
	}
	if got := list(t, s); len(got) != 0 || len(files(t, fsys)) != 2 {
		t.Fatalf("listed %v before it was restored; files %v", got, files(t, fsys))
	}
	meta, source, err := s.Open(id)
	if err != nil || meta.Size != int64(len(stream)) || meta.Index != 30 {
		t.Fatalf("meta %+v, error %v", meta, err)
	}
	if err := source.Close(); err != nil { // without a restore
		t.Fatal(err)
	}
	if got := list(t, s); len(got) != 0 {
		t.Fatalf("listed %v without a restore", got)
	}
	if err := restore(s, id); err != nil {
		t.Fatal(err)
	}
	requireContentAt(t, e, 40)
	newest, _ := s.Newest()
	if newest.Index != 30 || newest.Needs != 40 || len(files(t, fsys)) != 1 {
		t.Fatalf("newest %+v, files %v", newest, files(t, fsys))
	}
	_, source, err = s.Open(id)
	if err != nil || !bytes.Equal(readAll(t, source), stream) {
		t.Fatalf("cannot send on what was received: %v", err)
	}
}

// Raft installs what the leader has, which may be older than our own two snapshots.
func TestAnInstallBelowOtherSnapshotsStaysUntilItIsRestored(t *testing.T) {
	fsys, e := newFS(t), at(t, 50)
	s := openStore(t, fsys, e)
	for _, index := range []uint64{50, 60} {
		if err := take(s, index); err != nil {
			t.Fatal(err)
		}
	}
	given, err := receive(s, 30, 1, content(t, at(t, 55)))
	if err != nil {
		t.Fatal(err)
	}
	id, err := receive(s, 31, 1, content(t, at(t, 55)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(given); err == nil {
		t.Fatal("the one that raft gave up is still there")
	}
	if err := restore(s, id); err != nil {
		t.Fatal(err)
	}
	if got := list(t, s); !slices.Equal(got, []uint64{60, 50}) || len(files(t, fsys)) != 2 {
		t.Fatalf("snapshots %v, files %v", got, files(t, fsys))
	}
}

func TestASinkRefuses(t *testing.T) {
	fsys := newFS(t)
	s := openStore(t, fsys, at(t, 1))
	empty := create(t, s, 5, 1)
	err := empty.Close()
	if err == nil || !errors.Is(empty.Close(), err) {
		t.Errorf("a snapshot without content: %v", err)
	}
	noStream := create(t, s, 5, 1)
	noStream.Write([]byte("this is not the stream of an engine, though it is longer than a header"))
	if noStream.Close() == nil {
		t.Error("a snapshot of something else")
	}
	both := create(t, s, 5, 1)
	both.Write([]byte("x"))
	if both.KeepInEngine(1) == nil || both.Cancel() != nil {
		t.Error("a stream and the engine at once")
	}
	cancelled := create(t, s, 5, 1)
	cancelled.Cancel()
	if _, err := cancelled.Write([]byte("x")); err == nil || cancelled.KeepInEngine(1) == nil || cancelled.Close() == nil {
		t.Error("went on after Cancel")
	}
	kept := create(t, s, 5, 1)
	kept.KeepInEngine(1)
	if _, err := kept.Write([]byte("x")); err == nil {
		t.Error("the engine and a stream at once")
	}
	kept.Close()
	if err := kept.Cancel(); err != nil || len(list(t, s)) != 1 {
		t.Error("Cancel after Close has an effect")
	}
	if _, err := s.Create(7, 5, 1, configuration, 3, nil); err == nil {
		t.Error("an unknown version of raft's")
	}
	if names := files(t, fsys); len(names) != 1 {
		t.Errorf("leftovers: %v", names)
	}
}

func TestAFullDiskEndsAnInstall(t *testing.T) {
	fsys := newFS(t)
	e := at(t, 5)
	s := openStore(t, fsys, e)
	left := 1000
	fsys.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call != "write" {
			return vfstest.Fault{}
		}
		if left -= op.Bytes; left < 0 {
			return vfstest.Fault{Err: syscall.ENOSPC, Bytes: 10}
		}
		return vfstest.Fault{}
	})
	stream := content(t, at(t, 2000))
	if _, err := receive(s, 1900, 1, append(stream, make([]byte, 5000)...)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	fsys.SetHook(nil)
	if names := files(t, fsys); len(names) != 0 {
		t.Fatalf("leftovers: %v", names)
	}
	id, err := receive(s, 1900, 1, stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(s, id); err != nil {
		t.Fatal(err)
	}
	requireContentAt(t, e, 2000)
}

// A follower takes a snapshot of its own while it is sent a newer one.
func TestALocalSnapshotBehindAnInstalledOneIsRefused(t *testing.T) {
	e := at(t, 10)
	s := openStore(t, newFS(t), e)
	local := create(t, s, 10, 1)
	if err := local.KeepInEngine(10); err != nil {
		t.Fatal(err)
	}
	id, err := receive(s, 30, 1, content(t, at(t, 40)))
	if err != nil {
		t.Fatal(err)
	}
	if err := restore(s, id); err != nil {
		t.Fatal(err)
	}
	if err := local.Close(); !errors.Is(err, errSuperseded) {
		t.Fatal(err)
	}
	if got := list(t, s); !slices.Equal(got, []uint64{30}) {
		t.Fatalf("snapshots %v", got)
	}
}

func TestDamagedMetadataIsReported(t *testing.T) {
	fsys, e := newFS(t), at(t, 5)
	if err := take(openStore(t, fsys, e), 5); err != nil {
		t.Fatal(err)
	}
	path := snapshotDir + "/" + files(t, fsys)[0]
	file, err := fsys.OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	data, err := vfs.ReadFile(fsys, path, metaBytesMax)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(snapshotDir, Options{FS: fsys, Engine: e, Log: quiet()})
	requireCorrupt(t, err)
	if err := vfs.WriteFile(fsys, path, data[:len(data)-1]); err != nil { // whole again
		t.Fatal(err)
	}
	for _, name := range []string{"1-2", fileID(6, 1, 1), fileID(5, 2, 1)} {
		other := snapshotDir + "/" + name + metaSuffix
		if err := fsys.Rename(path, other); err != nil {
			t.Fatal(err)
		}
		path = other
		_, err = Open(snapshotDir, Options{FS: fsys, Engine: e, Log: quiet()})
		requireCorrupt(t, err)
	}
}

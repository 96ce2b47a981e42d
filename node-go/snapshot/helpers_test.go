package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"kvorum/node/engine"
	"kvorum/node/engine/bitcask"
	"kvorum/node/engine/memory"
	"kvorum/node/vfs"
	"kvorum/node/vfs/vfstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	engineDir   = "/data/engine"
	snapshotDir = "/data/snapshots"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// advance applies entries up to index. What an entry does depends on its index alone, so that content tells the index.
func advance(t testing.TB, e engine.Engine, index uint64) {
	t.Helper()
	for i := e.Applied() + 1; i <= index; i++ {
		batch := engine.NewBatch(i)
		batch.Put(engine.Record{Key: fmt.Appendf(nil, "key %d", i%7), Value: fmt.Appendf(nil, "value %d", i), Version: i})
		if i%5 == 0 {
			batch.Delete(fmt.Appendf(nil, "key %d", (i+3)%7))
		}
		if err := e.Apply(batch); err != nil {
			t.Fatal(err)
		}
	}
}

// at is an engine in memory that has applied up to index.
func at(t testing.TB, index uint64) engine.Engine {
	t.Helper()
	e := memory.New()
	advance(t, e, index)
	return e
}

func content(t testing.TB, e engine.Engine) []byte {
	t.Helper()
	view, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	var stream bytes.Buffer
	if _, err := view.WriteTo(&stream); err != nil {
		t.Fatal(err)
	}
	return stream.Bytes()
}

func requireContentAt(t testing.TB, e engine.Engine, index uint64) {
	t.Helper()
	if e.Applied() != index || !bytes.Equal(content(t, e), content(t, at(t, index))) {
		t.Fatalf("the engine is at entry %d with other content than that of entry %d", e.Applied(), index)
	}
}

func newFS(t testing.TB) *vfstest.FS {
	t.Helper()
	fsys := vfstest.New()
	if err := fsys.MkdirAll("/data"); err != nil {
		t.Fatal(err)
	}
	if err := fsys.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func openEngine(t testing.TB, fsys vfs.FS) *bitcask.Engine {
	t.Helper()
	e, err := bitcask.Open(engineDir, bitcask.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func openStore(t testing.TB, fsys vfs.FS, e engine.Engine) *Store {
	t.Helper()
	s, err := Open(snapshotDir, Options{FS: fsys, Engine: e, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var configuration = raft.Configuration{Servers: []raft.Server{
	{ID: "a", Address: "a"}, {ID: "b", Address: "b", Suffrage: raft.Nonvoter},
}}

func create(t testing.TB, s *Store, index, term uint64) *sink {
	t.Helper()
	k, err := s.Create(1, index, term, configuration, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*sink)
}

// take is what raft and fsm do for a local snapshot at raft index.
func take(s *Store, index uint64) error {
	k, err := s.Create(1, index, 1, configuration, 3, nil)
	if err != nil {
		return err
	}
	needs, err := s.engine.Sync(context.Background())
	if err != nil {
		return err
	}
	if err := k.(*sink).KeepInEngine(needs); err != nil {
		return err
	}
	return k.Close()
}

// receive is the first half of an install: the stream of an engine arrives, in pieces.
func receive(s *Store, index, term uint64, stream []byte) (id string, err error) {
	k, err := s.Create(1, index, term, configuration, 3, nil)
	if err != nil {
		return "", err
	}
	for len(stream) > 0 {
		n := min(100, len(stream))
		if _, err := k.Write(stream[:n]); err != nil {
			return "", errors.Join(err, k.Cancel())
		}
		stream = stream[n:]
	}
	return k.ID(), k.Close()
}

// restore is the second half.
func restore(s *Store, id string) error {
	_, source, err := s.Open(id)
	if err != nil {
		return err
	}
	_, err = s.engine.Restore(source)
	return errors.Join(err, source.Close())
}

// logOf holds entries first to last of a term.
func logOf(t testing.TB, first, last, term uint64) *raft.InmemStore {
	t.Helper()
	log := raft.NewInmemStore()
	for i := first; i <= last; i++ {
		if err := log.StoreLog(&raft.Log{Index: i, Term: term}); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

func list(t testing.TB, s *Store) []uint64 {
	t.Helper()
	metas, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	indexes := []uint64{}
	for _, m := range metas {
		indexes = append(indexes, m.Index)
	}
	return indexes
}

func files(t testing.TB, fsys vfs.FS) []string {
	t.Helper()
	names, err := fsys.List(snapshotDir)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readAll(t testing.TB, r io.ReadCloser) []byte {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

package raftlog

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
	"go.uber.org/goleak"

	"kvorum/node/clock"
	"kvorum/node/stall"
	"kvorum/node/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness opens logs in one directory, and remembers what they reported.
type harness struct {
	t       *testing.T
	dir     string
	options Options

	mu       sync.Mutex
	failures []error
	stalls   chan *stall.Error
}

func newHarness(t *testing.T) *harness {
	h := &harness{t: t, dir: t.TempDir(), stalls: make(chan *stall.Error, 10)}
	h.options = Options{
		FS: vfs.OS(), Clock: clock.Real(), Log: slog.New(slog.DiscardHandler), WALLog: hclog.NewNullLogger(),
		SegmentBytes: 8 << 10,
		OnStall:      func(err *stall.Error) { h.stalls <- err },
		OnFailure: func(err error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.failures = append(h.failures, err)
		},
	}
	return h
}

// open is for a log that must open.
func (h *harness) open() *Log {
	h.t.Helper()
	l, err := Open(h.dir, h.options)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	return l
}

func (h *harness) reported() []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failures
}

// entry is the same for the same index and term.
func entry(index, term uint64) *raft.Log {
	return &raft.Log{
		Index: index, Term: term, Type: raft.LogCommand, AppendedAt: time.Unix(1000, int64(index)),
		Data:       bytes.Repeat([]byte(fmt.Sprintf("value %d of term %d;", index, term)), int(index%7)+1),
		Extensions: []byte{byte(index), 1},
	}
}

func entries(first, last, term uint64) []*raft.Log {
	var all []*raft.Log
	for i := first; i <= last; i++ {
		all = append(all, entry(i, term))
	}
	return all
}

func mustStore(t *testing.T, l *Log, logs []*raft.Log) {
	t.Helper()
	if err := l.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

func same(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && a.AppendedAt.Equal(b.AppendedAt) &&
		bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Extensions, b.Extensions)
}

func mustHold(t *testing.T, l *Log, first, last, term uint64) {
	t.Helper()
	if got, err := l.FirstIndex(); got != first || err != nil {
		t.Errorf("first index %d, %v; want %d", got, err, first)
	}
	if got, err := l.LastIndex(); got != last || err != nil {
		t.Errorf("last index %d, %v; want %d", got, err, last)
	}
	if first == 0 {
		return
	}
	for i := first; i <= last; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil || !same(&got, entry(i, term)) {
			t.Fatalf("entry %d: got %+v, %v", i, got, err)
		}
	}
}

// forget empties the cache, so that reads come from the disk.
func (l *Log) forget() {
	l.cache.mu.Lock()
	defer l.cache.mu.Unlock()
	l.cache.drop(len(l.cache.entries))
}

// files are the contents of a directory.
type files map[string][]byte

func readFiles(t *testing.T, dir string) files {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := files{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(name)] = data
	}
	return all
}

// writeTo makes dir hold these files and nothing else.
func (f files) writeTo(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range f {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// hookedFS is raft-wal's file system, with a hook before every call that changes something.
type hookedFS struct {
	*walfs.FS
	// before a "create", "write" or "fsync" of a segment; its error is the call's.
	before func(call, name string, data []byte, offset int64) error
}

func (f *hookedFS) Create(dir, name string, size uint64) (types.WritableFile, error) {
	if err := f.before("create", name, nil, 0); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(dir, name, size)
	return f.wrap(file, name), err
}

func (f *hookedFS) OpenWriter(dir, name string) (types.WritableFile, error) {
	file, err := f.FS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	return f.wrap(file, name), nil
}

func (f *hookedFS) wrap(file types.WritableFile, name string) types.WritableFile {
	if file == nil {
		return nil
	}
	return &hookedFile{WritableFile: file, fs: f, name: name}
}

type hookedFile struct {
	types.WritableFile
	fs   *hookedFS
	name string
}

func (f *hookedFile) WriteAt(data []byte, offset int64) (int, error) {
	if err := f.fs.before("write", f.name, data, offset); err != nil {
		return 0, err
	}
	return f.WritableFile.WriteAt(data, offset)
}

func (f *hookedFile) Sync() error {
	if err := f.fs.before("fsync", f.name, nil, 0); err != nil {
		return err
	}
	return f.WritableFile.Sync()
}

// inPlace calls before ahead of each write and fsync of a file that is written in place; its error is the call's.
type inPlace struct {
	vfs.RandomFile
	before func(call string) error
}

func openInPlace(fsys vfs.FS, path string, before func(call string) error) (vfs.RandomFile, error) {
	file, err := fsys.OpenRandom(path)
	if err != nil {
		return nil, err
	}
	return &inPlace{RandomFile: file, before: before}, nil
}

func (f *inPlace) WriteAt(data []byte, offset int64) (int, error) {
	if err := f.before("write in place"); err != nil {
		return 0, err
	}
	return f.RandomFile.WriteAt(data, offset)
}

func (f *inPlace) Sync() error {
	if err := f.before("fsync in place"); err != nil {
		return err
	}
	return f.RandomFile.Sync()
}

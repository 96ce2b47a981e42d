package replica

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kvorum/node/engine"
	"kvorum/node/kverr"
	"kvorum/node/raftlog"
	"kvorum/node/vfs"

	pb "kvorum/node/gen/errors"
)

// faultyFS fails writes, or lets them hang, once it is told to.
type faultyFS struct {
	vfs.FS
	err   atomic.Pointer[error]
	hangs atomic.Pointer[chan struct{}]
}

func (f *faultyFS) Create(path string) (vfs.File, error) { return f.wrap(f.FS.Create(path)) }

func (f *faultyFS) OpenAppend(path string) (vfs.File, error) { return f.wrap(f.FS.OpenAppend(path)) }

func (f *faultyFS) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, fs: f}, nil
}

type faultyFile struct {
	vfs.File
	fs *faultyFS
}

func (f *faultyFile) Write(data []byte) (int, error) {
	if err := f.fs.err.Load(); err != nil {
		return 0, *err
	}
	if release := f.fs.hangs.Load(); release != nil {
		<-*release
	}
	return f.File.Write(data)
}

func TestADiskThatIsFullIsFatal(t *testing.T) {
	fsys := &faultyFS{FS: vfs.OS()}
	c := startCluster(t, 1, brisk, func(_ int, o *Options) { o.FS = fsys })
	node := c.leader()
	node.mustPut("k", "v")
	full := error(syscall.ENOSPC)
	fsys.err.Store(&full)
	// The state machine does not go on, so the write is not answered until the node ends.
	flight := background(func() *kverr.Error { return node.put("k", "w").Err })
	fatal := receive(t, node.fatal)
	if fatal.Cause != CauseIO || !errors.Is(fatal, syscall.ENOSPC) {
		t.Fatalf("got cause %d, %v", fatal.Cause, fatal)
	}
	fsys.err.Store(nil)
	_ = node.Close() // the engine says that it is broken
	node.Replica = nil
	node.mux.Close()
	if err := receive(t, flight); err == nil || err.Outcome != unknown {
		t.Fatalf("the write was answered %v", err)
	}
	// The write whose outcome was unknown was durable in the log.
	node.open()
	c.leader().mustGet("k", "w")
}

// A leader whose log was written before the disk stalled, and whose clients all wait for its engine, has no write of the
// log left that could tell.
func TestAnEngineThatStallsIsFatal(t *testing.T) {
	fsys := &faultyFS{FS: vfs.OS()}
	c := startCluster(t, 1, brisk, func(_ int, o *Options) {
		o.FS, o.Sizes.StallLimit = fsys, 50*time.Millisecond
	})
	node := c.leader()
	node.mustPut("k", "v")
	release := make(chan struct{})
	fsys.hangs.Store(&release)
	comeBack := sync.OnceFunc(func() {
		fsys.hangs.Store(nil)
		close(release)
	})
	t.Cleanup(comeBack)
	flight := background(func() *kverr.Error { return node.put("k", "w").Err })
	fatal := receive(t, node.fatal)
	comeBack()
	if fatal.Cause != CauseStall || !strings.Contains(fatal.Error(), "engine: apply") {
		t.Fatalf("got cause %d, %v", fatal.Cause, fatal)
	}
	if err := receive(t, flight); err != nil {
		t.Fatalf("the disk came back, and the write was answered %v", err)
	}
}

func TestCauses(t *testing.T) {
	for name, c := range map[string]struct {
		fatal *FatalError
		cause Cause
	}{
		"engine damage":      {classify("x", fmt.Errorf("wrapped: %w", &engine.CorruptError{})), CauseDamage},
		"engine I/O":         {classify("x", &engine.IOError{Err: syscall.EIO}), CauseIO},
		"a newer format":     {classify("x", kverr.Unknown(pb.ErrorCode_ERROR_CODE_UNSUPPORTED, "x")), CauseRefuse},
		"another log's data": {classify("x", kverr.Unknown(pb.ErrorCode_ERROR_CODE_CORRUPT, "x")), CauseRefuse},
		"waits for the log":  {classify("x", fmt.Errorf("wrapped: %w", &raftlog.CorruptError{})), CauseRefuse},
		"log damage":         {classifyLog(&raftlog.CorruptError{}), CauseRefuse},
		"log I/O":            {classifyLog(&raftlog.IOError{Err: syscall.ENOSPC}), CauseIO},
	} {
		t.Run(name, func(t *testing.T) {
			if c.fatal.Cause != c.cause {
				t.Fatalf("got %d, want %d", c.fatal.Cause, c.cause)
			}
		})
	}
}

// damage flips some bytes all over each of the engine's files of a kind.
func (n *testNode) damage(t *testing.T, suffix string) {
	t.Helper()
	dir := filepath.Join(n.options.Dir, EngineDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(entry.Name(), suffix) || len(data) == 0 {
			continue
		}
		for i := range 64 {
			data[i*len(data)/64] ^= 0xff
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		damaged++
	}
	if damaged == 0 {
		t.Fatalf("the engine has no file *%s: %v", suffix, entries)
	}
}

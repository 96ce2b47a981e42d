package bitcask

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/vfs/vfstest"
)

// A system that could not write back what it had taken may tell nobody else, not even a later fsync.
func TestAFailedWriteBackIsAFailedSync(t *testing.T) {
	fs := vfstest.New()
	e, err := Open("/data", Options{FS: fs, Idle: true})
	if err != nil {
		t.Fatal(err)
	}
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "writeback" {
			return vfstest.Fault{Err: syscall.EIO}
		}
		return vfstest.Fault{}
	})
	value := bytes.Repeat([]byte("v"), writeBackBytes/4)
	for i := uint64(1); err == nil; i++ {
		if i > 5 {
			t.Fatal("nothing was written back")
		}
		b := engine.NewBatch(i)
		b.Put(engine.Record{Key: []byte("k"), Value: value, Version: i})
		err = e.Apply(b)
	}
	if !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if _, _, err := e.Get([]byte("k")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the engine goes on: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	fs.SetHook(nil)
	again, err := Open("/data", Options{FS: fs, Idle: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Applied() != 0 {
		t.Fatalf("what is not durable is believed up to %d", again.Applied())
	}
}

package vfstest_test

import (
	"errors"
	"syscall"
	"testing"

	"kvorum/node/vfs"
	"kvorum/node/vfs/vfstest"
)

// survives says what is left of /file.
func survives(t *testing.T, fs *vfstest.FS, loss string) string {
	t.Helper()
	data, err := vfs.ReadFile(fs.Crash(vfstest.Losses(0)[loss]), "/file", 1000)
	if err != nil {
		return "absent"
	}
	return string(data)
}

func expect(t *testing.T, fs *vfstest.FS, wants map[string]string) {
	t.Helper()
	for loss, want := range wants {
		if got := survives(t, fs, loss); got != want {
			t.Errorf("lost %s: %q, should be %q", loss, got, want)
		}
	}
}

func TestWhatSurvives(t *testing.T) {
	fs := vfstest.New()
	file, err := fs.Create("/file")
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if _, err := file.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("one ")
	expect(t, fs, map[string]string{"nothing": "one ", "all": "absent", "content": "", "names": "absent"})
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, map[string]string{"all": "absent", "content": "one "})
	if err := fs.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	write("two ")
	write("three ")
	expect(t, fs, map[string]string{
		"nothing": "one two three ", "all": "one ", "the last": "one two ", "half of the last": "one two thr",
		"all but the last": "one \x00\x00\x00\x00three ",
	})
	if err := file.Truncate(2); err != nil {
		t.Fatal(err)
	}
	write("X")
	expect(t, fs, map[string]string{"nothing": "onX", "all": "one ", "all but the last": "onX ", "the last": "on"})
	expect(t, fs, map[string]string{"nothing": "onX", "all": "one "})
}

func TestNamesSurviveWithTheirDirectory(t *testing.T) {
	fs := vfstest.New()
	if err := vfs.WriteFile(fs, "/file", []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(fs, "/other", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := fs.Rename("/other", "/file"); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, map[string]string{"nothing": "new", "all": "old"})
	if err := fs.Remove("/file"); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, map[string]string{"nothing": "absent", "all": "old", "the last": "new"})
	if err := fs.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	expect(t, fs, map[string]string{"all": "absent"})
}

// TestFailedSyncLies: what an fsync has failed to write is never written by a later one.
func TestFailedSyncLies(t *testing.T) {
	fs := vfstest.New()
	if err := vfs.WriteFile(fs, "/file", []byte("old ")); err != nil {
		t.Fatal(err)
	}
	file, err := fs.OpenAppend("/file")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte("lost ")); err != nil {
		t.Fatal(err)
	}
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "fsync" {
			return vfstest.Fault{Err: syscall.EIO}
		}
		return vfstest.Fault{}
	})
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	fs.SetHook(nil)
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	data, err := vfs.ReadFile(fs, "/file", 100)
	if err != nil || string(data) != "old lost " {
		t.Fatalf("%q, %v", data, err)
	}
	expect(t, fs, map[string]string{"nothing": "old "})
}

func TestFaults(t *testing.T) {
	fs := vfstest.New()
	fs.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Call == "write" {
			return vfstest.Fault{Err: syscall.ENOSPC, Bytes: 2}
		}
		return vfstest.Fault{}
	})
	file, err := fs.Create("/file")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := file.Write([]byte("hello")); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(n, err)
	}
	if fs.OpenFiles() != 1 || file.Close() != nil || fs.OpenFiles() != 0 {
		t.Fatal("open files are miscounted")
	}
}

package vfs_test

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"kvorum/node/vfs"
	"kvorum/node/vfs/powercut"
	"kvorum/node/vfs/vfstest"
)

// All file systems do the same, so that a test on vfstest says something about the real one.
func TestContract(t *testing.T) {
	tests := map[string]func(*testing.T, vfs.FS, string){
		"files":      testFiles,
		"in place":   testInPlace,
		"names":      testNames,
		"errors":     testErrors,
		"lock":       testLock,
		"write file": testWriteFile,
	}
	for name, test := range tests {
		t.Run("os/"+name, func(t *testing.T) { test(t, vfs.OS(), t.TempDir()) })
		t.Run("vfstest/"+name, func(t *testing.T) { test(t, vfstest.New(), "/") })
		t.Run("powercut/"+name, func(t *testing.T) {
			dir := t.TempDir()
			fsys := powercut.New(vfs.OS(), filepath.Join(t.TempDir(), "attic"))
			test(t, fsys, dir)
		})
	}
}

func testFiles(t *testing.T, fsys vfs.FS, dir string) {
	path := filepath.Join(dir, "file")
	f := value(fsys.Create(path))(t)
	value(f.Write([]byte("hello ")))(t)
	value(f.Write([]byte("world")))(t)
	check(t, f.Sync(), f.Close())
	if f.Close() == nil {
		t.Error("closed twice")
	}
	f = value(fsys.OpenAppend(path))(t)
	value(f.Write([]byte("!")))(t)
	if size := value(f.Size())(t); size != 12 {
		t.Errorf("size %d", size)
	}
	check(t, f.Truncate(6))
	value(f.Write([]byte("all")))(t)
	check(t, f.Close())

	f = value(fsys.Open(path))(t)
	if text := value(io.ReadAll(f))(t); string(text) != "hello all" {
		t.Errorf("read %q", text)
	}
	part := make([]byte, 4)
	if n, err := f.ReadAt(part, 6); n != 3 || !errors.Is(err, io.EOF) || string(part[:n]) != "all" {
		t.Errorf("read %q, %v", part[:n], err)
	}
	if n, err := f.ReadAt(part, 100); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d, %v behind the end", n, err)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("a file opened for reading was written")
	}
	check(t, f.Close())
	check(t, value(fsys.Create(path))(t).Close())
	if info := value(fsys.Stat(path))(t); info.Size != 0 || info.IsDir {
		t.Errorf("after Create: %+v", info)
	}
}

func testInPlace(t *testing.T, fsys vfs.FS, dir string) {
	path := filepath.Join(dir, "file")
	f := value(fsys.Allocate(path, 10))(t)
	value(f.WriteAt([]byte("abc"), 4))(t)
	value(f.WriteAt([]byte("end"), 10))(t)
	check(t, f.Sync(), f.Close())
	f = value(fsys.OpenRandom(path))(t)
	value(f.WriteAt([]byte("X"), 5))(t)
	part := make([]byte, 3)
	if n, err := f.ReadAt(part, 4); n != 3 || err != nil || string(part) != "aXc" {
		t.Errorf("read %q, %v", part[:n], err)
	}
	check(t, f.Close())
	if text := value(vfs.ReadFile(fsys, path, 100))(t); string(text) != "\x00\x00\x00\x00aXc\x00\x00\x00end" {
		t.Errorf("%q", text)
	}
	if _, err := fsys.Allocate(path, 1); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if _, err := fsys.OpenRandom(path + "2"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func testNames(t *testing.T, fsys vfs.FS, dir string) {
	sub := filepath.Join(dir, "a", "b")
	check(t, fsys.MkdirAll(sub), fsys.MkdirAll(sub))
	for _, name := range []string{"2", "1", "3"} {
		check(t, vfs.WriteFile(fsys, filepath.Join(sub, name), []byte(name)))
	}
	check(t, fsys.Rename(filepath.Join(sub, "3"), filepath.Join(sub, "1")), fsys.SyncDir(sub))
	if names := value(fsys.List(sub))(t); !slices.Equal(names, []string{"1", "2"}) {
		t.Error(names)
	}
	if text := value(vfs.ReadFile(fsys, filepath.Join(sub, "1"), 10))(t); string(text) != "3" {
		t.Errorf("%q after a rename", text)
	}
	if info := value(fsys.Stat(sub))(t); !info.IsDir {
		t.Error("no directory")
	}
	check(t, fsys.Remove(filepath.Join(sub, "2")), fsys.RemoveAll(filepath.Join(dir, "a")), fsys.RemoveAll(filepath.Join(dir, "a")))
	if _, err := fsys.Stat(sub); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func testErrors(t *testing.T, fsys vfs.FS, dir string) {
	absent := filepath.Join(dir, "absent")
	_, openErr := fsys.Open(absent)
	_, appendErr := fsys.OpenAppend(absent)
	_, statErr := fsys.Stat(absent)
	_, listErr := fsys.List(absent)
	_, createErr := fsys.Create(filepath.Join(absent, "file"))
	for i, err := range []error{
		openErr, appendErr, statErr, listErr, createErr, fsys.Remove(absent), fsys.Rename(absent, filepath.Join(dir, "x")), fsys.SyncDir(absent),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	full := filepath.Join(dir, "full")
	check(t, fsys.MkdirAll(full), vfs.WriteFile(fsys, filepath.Join(full, "file"), []byte("long")))
	if fsys.Remove(full) == nil {
		t.Error("a directory with a file was removed")
	}
	if fsys.MkdirAll(filepath.Join(full, "file")) == nil {
		t.Error("a file became a directory")
	}
	if _, err := vfs.ReadFile(fsys, filepath.Join(full, "file"), 3); err == nil {
		t.Error("a file over the limit was read")
	}
}

func testLock(t *testing.T, fsys vfs.FS, dir string) {
	path := filepath.Join(dir, "LOCK")
	lock := value(fsys.Lock(path))(t)
	var locked *vfs.LockedError
	if _, err := fsys.Lock(path); !errors.As(err, &locked) || locked.Path != path {
		t.Fatal(err)
	}
	check(t, lock.Close())
	check(t, value(fsys.Lock(path))(t).Close())
}

func testWriteFile(t *testing.T, fsys vfs.FS, dir string) {
	path := filepath.Join(dir, "file")
	for _, text := range []string{"first", "second", ""} {
		check(t, vfs.WriteFile(fsys, path, []byte(text)))
		if got := value(vfs.ReadFile(fsys, path, 100))(t); string(got) != text {
			t.Errorf("%q instead of %q", got, text)
		}
	}
	if names := value(fsys.List(dir))(t); !slices.Equal(names, []string{"file"}) {
		t.Errorf("left over: %q", names)
	}
}

// The lock tells whose it is.
func TestLockNamesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "LOCK")
	lock := value(vfs.OS().Lock(path))(t)
	defer lock.Close()
	var locked *vfs.LockedError
	if _, err := vfs.OS().Lock(path); !errors.As(err, &locked) || locked.PID == 0 {
		t.Fatal(err)
	}
}

// WriteFile leaves the old or the new content at every crash, and the new one once it has returned.
func TestWriteFileCrashes(t *testing.T) {
	fsys := vfstest.New()
	check(t, vfs.WriteFile(fsys, "/file", []byte("old content")))
	look := func(losses map[string]vfstest.Loss, allowed ...string) {
		for name, loss := range losses {
			text, err := vfs.ReadFile(fsys.Crash(loss), "/file", 100)
			if err != nil || !slices.Contains(allowed, string(text)) {
				t.Errorf("lost %s: %q, %v", name, text, err)
			}
		}
	}
	points := 0
	fsys.SetHook(func(op vfstest.Op) vfstest.Fault {
		if op.Changes() {
			points++
			look(vfstest.Losses(5), "old content", "the new content")
		}
		return vfstest.Fault{}
	})
	check(t, vfs.WriteFile(fsys, "/file", []byte("the new content")))
	fsys.SetHook(nil)
	if points != 5 {
		t.Errorf("%d points", points)
	}
	look(vfstest.Losses(5), "the new content")
}

func value[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Package vfstest is a file system in memory that loses, on demand, what was never fsynced, and that fails on demand. It
// promises no more than package vfs does, so what survives its crashes survives a real one.
package vfstest

import (
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"kvorum/node/vfs"
)

// Op is a call that is about to happen.
type Op struct {
	Call string // "create", "open", "write", "read", "fsync", "truncate", "rename", "remove", "mkdir", "list", "stat", "fsync-dir", "lock"
	Path string
	// Bytes of a write.
	Bytes int
}

// Changes says whether the call alters what is on the disk or what of it is durable.
func (o Op) Changes() bool {
	switch o.Call {
	case "open", "read", "list", "stat", "lock":
		return false
	}
	return true
}

// Fault is what becomes of a call. The zero Fault lets it happen.
type Fault struct {
	Err error
	// Bytes of a failing write that reach the file all the same.
	Bytes int
}

// FS is safe for concurrent use. A failed fsync does what Linux does: what was to be written stays readable, counts as
// clean, and no later fsync writes it.
type FS struct {
	mu    sync.Mutex
	root  *node
	locks map[string]bool
	hook  func(Op) Fault
	// opened counts the files that are open.
	opened int
}

var _ vfs.FS = (*FS)(nil)

// New is an empty file system with a durable root "/".
func New() *FS { return &FS{root: newDir(), locks: map[string]bool{}} }

// SetHook has fn called before every call, without a lock held: it may look at a Crash. nil takes it away.
func (f *FS) SetHook(fn func(Op) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = fn
}

func (f *FS) Create(path string) (vfs.File, error) {
	if fault := f.before("create", path, 0); fault.Err != nil {
		return nil, pathError("create", path, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name, err := f.parent("create", path)
	if err != nil {
		return nil, err
	}
	n := dir.entries[name]
	switch {
	case n == nil:
		n = new(node)
		dir.change(name, n, "")
	case n.isDir():
		return nil, pathError("create", path, fs.ErrExist)
	default:
		n.truncate(0)
	}
	f.opened++
	return &file{fs: f, node: n, path: path, writable: true}, nil
}

func (f *FS) Allocate(path string, size int64) (vfs.RandomFile, error) {
	if fault := f.before("create", path, 0); fault.Err != nil {
		return nil, pathError("create", path, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name, err := f.parent("create", path)
	if err != nil {
		return nil, err
	}
	if dir.entries[name] != nil {
		return nil, pathError("create", path, fs.ErrExist)
	}
	n := new(node)
	dir.change(name, n, "")
	n.truncate(int(size))
	f.opened++
	return &file{fs: f, node: n, path: path, writable: true}, nil
}

func (f *FS) OpenRandom(path string) (vfs.RandomFile, error) {
	file, err := f.openFile(path, true)
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (f *FS) Open(path string) (vfs.File, error) { return opened(f.openFile(path, false)) }

func (f *FS) OpenAppend(path string) (vfs.File, error) { return opened(f.openFile(path, true)) }

// opened keeps a nil *file from becoming a vfs.File that is not nil.
func opened(f *file, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (f *FS) openFile(path string, writable bool) (*file, error) {
	if fault := f.before("open", path, 0); fault.Err != nil {
		return nil, pathError("open", path, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find("open", path)
	if err != nil {
		return nil, err
	}
	f.opened++
	return &file{fs: f, node: n, path: path, writable: writable}, nil
}

func (f *FS) Rename(oldPath, newPath string) error {
	if fault := f.before("rename", newPath, 0); fault.Err != nil {
		return pathError("rename", newPath, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	from, oldName, err := f.parent("rename", oldPath)
	if err != nil {
		return err
	}
	to, newName, err := f.parent("rename", newPath)
	if err != nil {
		return err
	}
	n := from.entries[oldName]
	if n == nil {
		return pathError("rename", oldPath, fs.ErrNotExist)
	}
	if from != to {
		return pathError("rename", newPath, fs.ErrInvalid) // nobody here moves files between directories
	}
	to.change(newName, n, oldName)
	return nil
}

func (f *FS) Remove(path string) error {
	if fault := f.before("remove", path, 0); fault.Err != nil {
		return pathError("remove", path, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name, err := f.parent("remove", path)
	if err != nil {
		return err
	}
	switch n := dir.entries[name]; {
	case n == nil:
		return pathError("remove", path, fs.ErrNotExist)
	case len(n.entries) > 0:
		return pathError("remove", path, syscall.ENOTEMPTY)
	}
	dir.change("", nil, name)
	return nil
}

func (f *FS) RemoveAll(path string) error {
	if fault := f.before("remove", path, 0); fault.Err != nil {
		return pathError("remove", path, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name, err := f.parent("remove", path)
	if err == nil && dir.entries[name] != nil {
		dir.change("", nil, name)
	}
	return nil
}

func (f *FS) MkdirAll(path string) error {
	if fault := f.before("mkdir", path, 0); fault.Err != nil {
		return pathError("mkdir", path, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir := f.root
	for _, name := range split(path) {
		next := dir.entries[name]
		if next == nil {
			next = newDir()
			dir.change(name, next, "")
		}
		if !next.isDir() {
			return pathError("mkdir", path, fs.ErrExist)
		}
		dir = next
	}
	return nil
}

func (f *FS) List(dir string) ([]string, error) {
	if fault := f.before("list", dir, 0); fault.Err != nil {
		return nil, pathError("list", dir, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find("list", dir)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

func (f *FS) Stat(path string) (vfs.Info, error) {
	if fault := f.before("stat", path, 0); fault.Err != nil {
		return vfs.Info{}, pathError("stat", path, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find("stat", path)
	if err != nil {
		return vfs.Info{}, err
	}
	return vfs.Info{Size: int64(len(n.data)), IsDir: n.isDir()}, nil
}

func (f *FS) SyncDir(dir string) error {
	fault := f.before("fsync-dir", dir, 0)
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find("fsync-dir", dir)
	if err != nil {
		return err
	}
	if fault.Err == nil {
		n.durableEntries = n.survivors(keepAll)
	}
	n.pendingNames = nil
	if fault.Err != nil {
		return pathError("fsync-dir", dir, fault.Err)
	}
	return nil
}

// Lock holds as long as this FS lives: a crash ends it.
func (f *FS) Lock(path string) (io.Closer, error) {
	if fault := f.before("lock", path, 0); fault.Err != nil {
		return nil, pathError("lock", path, fault.Err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, name, err := f.parent("lock", path)
	if err != nil {
		return nil, err
	}
	if f.locks[path] {
		return nil, &vfs.LockedError{Path: path}
	}
	if dir.entries[name] == nil {
		dir.change(name, new(node), "")
	}
	f.locks[path] = true
	return unlocker(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.locks, path)
	}), nil
}

type unlocker func()

func (u unlocker) Close() error {
	u()
	return nil
}

// OpenFiles counts the files that have not been closed.
func (f *FS) OpenFiles() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened
}

func (f *FS) before(call, path string, bytes int) Fault {
	f.mu.Lock()
	hook := f.hook
	f.mu.Unlock()
	if hook == nil {
		return Fault{}
	}
	return hook(Op{Call: call, Path: path, Bytes: bytes})
}

func (f *FS) find(call, path string) (*node, error) {
	n := f.root
	for _, name := range split(path) {
		if n = n.entries[name]; n == nil {
			return nil, pathError(call, path, fs.ErrNotExist)
		}
	}
	return n, nil
}

func (f *FS) parent(call, path string) (*node, string, error) {
	dir, err := f.find(call, filepath.Dir(path))
	if err != nil {
		return nil, "", err
	}
	if !dir.isDir() {
		return nil, "", pathError(call, path, fs.ErrInvalid)
	}
	return dir, filepath.Base(path), nil
}

func pathError(call, path string, err error) error {
	return &fs.PathError{Op: call, Path: path, Err: err}
}

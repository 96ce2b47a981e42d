package powercut

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
)

func (f *FS) Rename(oldPath, newPath string) error {
	oldPath, newPath = filepath.Clean(oldPath), filepath.Clean(newPath)
	f.still.RLock()
	defer f.still.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	replaced, err := f.store(newPath)
	if err != nil {
		return err
	}
	if err := f.base.Rename(oldPath, newPath); err != nil {
		return err
	}
	f.moved(oldPath, newPath)
	f.settle(oldPath)
	f.changed(newPath, change{attic: replaced, undo: func() error {
		if err := f.base.Rename(newPath, oldPath); err != nil || replaced == "" {
			return err
		}
		return f.base.Rename(replaced, newPath)
	}})
	return nil
}

func (f *FS) Remove(path string) error {
	path = filepath.Clean(path)
	f.still.RLock()
	defer f.still.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, err := f.store(path)
	if err != nil {
		return err
	}
	if err := f.base.Remove(path); err != nil {
		return err
	}
	if stored != "" {
		f.changed(path, change{attic: stored, undo: func() error { return f.base.Rename(stored, path) }})
	}
	return nil
}

// RemoveAll takes the directory to the attic as it is.
func (f *FS) RemoveAll(path string) error {
	path = filepath.Clean(path)
	f.still.RLock()
	defer f.still.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.base.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	stored, err := f.place()
	if err != nil {
		return err
	}
	if err := f.base.Rename(path, stored); err != nil {
		return err
	}
	f.moved(path, stored)
	f.settle(path)
	f.changed(path, change{attic: stored, undo: func() error {
		// A new one may have been made meanwhile, with files in it: their names are newer, and gone by now.
		if err := f.base.RemoveAll(path); err != nil {
			return err
		}
		return f.base.Rename(stored, path)
	}})
	return nil
}

// settle counts the names in a directory that has moved as durable.
func (f *FS) settle(path string) {
	for dir := range f.changes {
		if dir == path || strings.HasPrefix(dir, path+string(filepath.Separator)) {
			delete(f.changes, dir)
		}
	}
}

// store keeps what a name leads to, before the name is taken away; empty when there is nothing of that name, or a
// directory: only an empty one can be lost here, and whoever needs it makes it again.
func (f *FS) store(path string) (string, error) {
	info, err := f.base.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	stored, err := f.link(path)
	if err == nil {
		f.moved(path, stored)
	}
	return stored, err
}

// moved has contents lie elsewhere: those of a file, or of all below a directory.
func (f *FS) moved(from, to string) {
	for path, c := range f.contents {
		rest, below := strings.CutPrefix(path, from+string(filepath.Separator))
		switch {
		case path == from:
			c.where = to
		case below:
			c.where = filepath.Join(to, rest)
		default:
			continue
		}
		delete(f.contents, path)
		f.contents[c.where] = c
	}
}

// SyncDir also clears from the attic what cannot come back any more.
func (f *FS) SyncDir(dir string) error {
	dir = filepath.Clean(dir)
	f.mu.Lock()
	covered := len(f.changes[dir])
	f.mu.Unlock()
	if err := f.base.SyncDir(dir); err != nil {
		return err
	}
	f.still.RLock()
	defer f.still.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	covered = min(covered, len(f.changes[dir]))
	for _, c := range f.changes[dir][:covered] {
		if c.attic == "" {
			continue
		}
		if err := f.base.RemoveAll(c.attic); err != nil {
			return err
		}
		f.forget(c.attic)
	}
	f.changes[dir] = f.changes[dir][covered:]
	if len(f.changes[dir]) == 0 {
		delete(f.changes, dir)
	}
	return nil
}

func (f *FS) forget(path string) {
	for known := range f.contents {
		if known == path || strings.HasPrefix(known, path+string(filepath.Separator)) {
			delete(f.contents, known)
		}
	}
}

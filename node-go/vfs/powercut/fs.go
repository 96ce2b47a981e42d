// Package powercut is a file system over real files that knows what no fsync has covered, and can lose it as a power cut
// does: a process that is killed loses nothing that it has written, because the kernel has it. It is for processes under
// test; vfstest does the same in memory.
//
// What it can lose: each changed sector of a file by itself, what was appended, and the newest names of each directory
// (made, renamed, removed), as a file system that keeps a journal loses them: none without all that came after it.
// Directories that are made stay. What a rename or a removal would destroy waits in the attic until SyncDir.
package powercut

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"kvorum/node/vfs"
)

// FS is safe for concurrent use.
type FS struct {
	base  vfs.FS
	attic string

	// mu guards the names. It is taken before a content's.
	mu       sync.Mutex
	contents map[string]*content
	// changes of names that no SyncDir has covered, by directory, in their order.
	changes map[string][]change
	stored  int

	// still is held for reading by whoever changes something, and for good by a power cut.
	still sync.RWMutex
}

// change of names can be taken back.
type change struct {
	undo func() error
	// attic is what the change would have destroyed, empty if nothing.
	attic string
}

var _ vfs.FS = (*FS)(nil)

// New keeps in attic, a directory on the same disk, what may have to come back. It is made, and what an earlier process has
// left there is removed, when it is needed first: by then its user has locked what it works on.
func New(base vfs.FS, attic string) *FS {
	return &FS{base: base, attic: attic, contents: map[string]*content{}, changes: map[string][]change{}}
}

// Cut loses what no fsync has covered, by chance. From then on nothing changes any more: whoever tries waits for ever, so
// the process must be killed.
func (f *FS) Cut(seed uint64) error {
	f.still.Lock()
	f.mu.Lock()
	random := rand.New(rand.NewPCG(seed, seed))
	for _, c := range f.inOrder() {
		if err := c.lose(f.base, random); err != nil {
			return fmt.Errorf("lose some of %s: %w", c.where, err)
		}
	}
	// A directory after those below it: it may be taken away, or another one be put in its place.
	for _, dir := range slices.Backward(slices.Sorted(maps.Keys(f.changes))) {
		names := f.changes[dir]
		for kept := random.IntN(len(names) + 1); len(names) > kept; names = names[:len(names)-1] {
			if err := names[len(names)-1].undo(); err != nil {
				return fmt.Errorf("lose names in %s: %w", dir, err)
			}
		}
	}
	return nil
}

// inOrder gives every content once, also of files without a name.
func (f *FS) inOrder() []*content {
	var all []*content
	for _, c := range f.contents {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *content) int {
		if a.where < b.where {
			return -1
		}
		return 1
	})
	return all
}

func (f *FS) Create(path string) (vfs.File, error) {
	path = filepath.Clean(path)
	f.still.RLock()
	defer f.still.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := f.known(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	if err != nil && !isNew {
		return nil, err
	}
	if !isNew {
		if err := f.emptied(c); err != nil {
			return nil, err
		}
	}
	opened, err := f.base.Create(path)
	if err != nil {
		return nil, err
	}
	if isNew {
		c = f.made(path, 0)
	}
	return &file{File: opened, handle: handle{fs: f, content: c}}, nil
}

// emptied notes all of a file that Create is about to empty.
func (f *FS) emptied(c *content) error {
	old, err := f.base.Open(c.where)
	if err != nil {
		return err
	}
	defer old.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.before(old, 0, c.durable); err != nil {
		return err
	}
	c.size = 0
	return nil
}

func (f *FS) Allocate(path string, size int64) (vfs.RandomFile, error) {
	path = filepath.Clean(path)
	f.still.RLock()
	defer f.still.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	opened, err := f.base.Allocate(path, size)
	if err != nil {
		return nil, err
	}
	return &randomFile{RandomFile: opened, handle: handle{fs: f, content: f.made(path, size)}}, nil
}

// made notes a new file.
func (f *FS) made(path string, size int64) *content {
	c := &content{where: path, size: size, old: map[int64][]byte{}}
	f.contents[path] = c
	f.changed(path, change{undo: func() error { return f.base.Remove(path) }})
	return c
}

// known is the content of a file, durable as it is if nothing was known of it.
func (f *FS) known(path string) (*content, error) {
	if c := f.contents[path]; c != nil {
		return c, nil
	}
	info, err := f.base.Stat(path)
	if err != nil {
		return nil, err
	}
	c := &content{where: path, size: info.Size, durable: info.Size, old: map[int64][]byte{}}
	f.contents[path] = c
	return c, nil
}

// Open is for reading, which changes nothing.
func (f *FS) Open(path string) (vfs.File, error) { return f.base.Open(path) }

func (f *FS) OpenAppend(path string) (vfs.File, error) {
	path = filepath.Clean(path)
	f.mu.Lock()
	defer f.mu.Unlock()
	opened, err := f.base.OpenAppend(path)
	if err != nil {
		return nil, err
	}
	c, err := f.known(path)
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return &file{File: opened, handle: handle{fs: f, content: c}}, nil
}

func (f *FS) OpenRandom(path string) (vfs.RandomFile, error) {
	path = filepath.Clean(path)
	f.mu.Lock()
	defer f.mu.Unlock()
	opened, err := f.base.OpenRandom(path)
	if err != nil {
		return nil, err
	}
	c, err := f.known(path)
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return &randomFile{RandomFile: opened, handle: handle{fs: f, content: c}}, nil
}

func (f *FS) MkdirAll(path string) error { return f.base.MkdirAll(path) }

func (f *FS) List(dir string) ([]string, error) { return f.base.List(dir) }

func (f *FS) Stat(path string) (vfs.Info, error) { return f.base.Stat(path) }

func (f *FS) Lock(path string) (io.Closer, error) { return f.base.Lock(path) }

// link gives a file a second name in the attic.
func (f *FS) link(path string) (string, error) {
	to, err := f.place()
	if err != nil {
		return "", err
	}
	return to, os.Link(path, to)
}

// place is a free one in the attic.
func (f *FS) place() (string, error) {
	if f.stored == 0 {
		if err := errors.Join(f.base.RemoveAll(f.attic), f.base.MkdirAll(f.attic)); err != nil {
			return "", fmt.Errorf("make the attic: %w", err)
		}
	}
	f.stored++
	return filepath.Join(f.attic, fmt.Sprint(f.stored)), nil
}

func (f *FS) changed(path string, c change) {
	dir := filepath.Dir(path)
	f.changes[dir] = append(f.changes[dir], c)
}

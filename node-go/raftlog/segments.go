package raftlog

import (
	"path/filepath"

	"github.com/hashicorp/raft-wal/types"

	"kvorum/node/vfs"
)

// segmentFiles is raft-wal's file system: ours, so that whatever stands in for the disk has the whole log.
type segmentFiles struct{ fs vfs.FS }

var _ types.VFS = segmentFiles{}

func (s segmentFiles) ListDir(dir string) ([]string, error) { return s.fs.List(dir) }

func (s segmentFiles) Create(dir, name string, size uint64) (types.WritableFile, error) {
	file, err := s.fs.Allocate(filepath.Join(dir, name), int64(size))
	if err != nil {
		return nil, err
	}
	return s.unnamed(file, dir), nil
}

// unnamed is for a file whose name is not durable yet. It becomes that with the first Sync: until something in the file
// counts, its name does not, either.
func (s segmentFiles) unnamed(file types.WritableFile, dir string) types.WritableFile {
	return &unnamed{WritableFile: file, syncName: func() error { return s.fs.SyncDir(dir) }}
}

func (s segmentFiles) Delete(dir, name string) error {
	if err := s.fs.Remove(filepath.Join(dir, name)); err != nil {
		return err
	}
	return s.fs.SyncDir(dir)
}

func (s segmentFiles) OpenReader(dir, name string) (types.ReadableFile, error) {
	return s.fs.Open(filepath.Join(dir, name))
}

func (s segmentFiles) OpenWriter(dir, name string) (types.WritableFile, error) {
	return s.fs.OpenRandom(filepath.Join(dir, name))
}

type unnamed struct {
	types.WritableFile
	syncName func() error
	named    bool
}

// Sync has one caller at a time.
func (u *unnamed) Sync() error {
	if err := u.WritableFile.Sync(); err != nil || u.named {
		return err
	}
	if err := u.syncName(); err != nil {
		return err
	}
	u.named = true
	return nil
}

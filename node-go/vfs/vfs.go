// Package vfs is the one room that touches files. Everything durable goes through an FS, so that a test can fail this
// write, cut that file, or drop what was never fsynced (vfs/vfstest).
//
// What is durable when: a file's content after File.Sync; a name (created, renamed, removed) after SyncDir of its
// directory. Nothing else is promised, and a failed Sync or SyncDir must never be retried as if a later success covered
// it: the kernel may have thrown the dirty pages away.
package vfs

import (
	"fmt"
	"io"
	"path/filepath"
)

// FS is a file system. Errors satisfy errors.Is with fs.ErrNotExist, fs.ErrExist and the system's error numbers.
// Safe for concurrent use.
type FS interface {
	// Create makes an empty file for reading and writing; a file of that name is emptied.
	Create(path string) (File, error)
	// Open opens an existing file for reading.
	Open(path string) (File, error)
	// OpenAppend opens an existing file; Write goes to its end.
	OpenAppend(path string) (File, error)
	// Allocate makes a file of that size for writing in place. It reads as zeros, and where the system can do that, its room
	// is taken: writes within it do not find the disk full. A file of that name is fs.ErrExist.
	Allocate(path string, size int64) (RandomFile, error)
	// OpenRandom opens an existing file for writing in place.
	OpenRandom(path string) (RandomFile, error)
	// Rename replaces newPath in one step.
	Rename(oldPath, newPath string) error
	Remove(path string) error
	// RemoveAll removes a directory and all below it; an absent path is no error.
	RemoveAll(path string) error
	MkdirAll(path string) error
	// List gives the names in a directory, sorted.
	List(dir string) ([]string, error)
	Stat(path string) (Info, error)
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
	// Lock takes an exclusive lock that ends with Close or with the process. A lock held by somebody is *LockedError.
	Lock(path string) (io.Closer, error)
}

// File is an open file. ReadAt is safe for concurrent use, beside one writer.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Closer
	// Sync makes the content and the size durable.
	Sync() error
	// WriteBack asks the system to begin to write to the disk what is not there yet, so that a later Sync has less to do. nil
	// promises nothing. An error is to be taken as that of a Sync: the system may have dropped what it could not write,
	// and may tell nobody else (ext4 does not tell a later fsync of blocks that it could not allocate).
	WriteBack() error
	Truncate(size int64) error
	Size() (int64, error)
}

// RandomFile is an open file that is written in place. ReadAt is safe for concurrent use, beside one writer.
type RandomFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the content and the size durable.
	Sync() error
}

// Info describes a path.
type Info struct {
	Size  int64
	IsDir bool
}

// LockedError says that another holder has the lock.
type LockedError struct {
	Path string
	// PID of the holder, 0 when it cannot be told.
	PID int
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("%s is locked by another process", e.Path)
	}
	return fmt.Sprintf("%s is locked by process %d", e.Path, e.PID)
}

// TempSuffix ends the name of a file that WriteFile has not finished. Such a leftover of a crash may be removed.
const TempSuffix = ".tmp"

// WriteFile replaces path by data, in one step and durably: after a crash at any point the file is the old or the new one,
// and after a nil return it is the new one.
func WriteFile(fsys FS, path string, data []byte) error {
	temp := path + TempSuffix
	if err := writeSynced(fsys, temp, data); err != nil {
		return err
	}
	if err := fsys.Rename(temp, path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// ReadFile reads the whole of a file of at most limit bytes, which nobody may be writing.
func ReadFile(fsys FS, path string, limit int64) ([]byte, error) {
	file, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("read %s: %d bytes are more than the limit of %d", path, size, limit)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

func writeSynced(fsys FS, path string, data []byte) error {
	file, err := fsys.Create(path)
	if err != nil {
		return err
	}
	if _, err := file.Write(data); err != nil {
		file.Close()
		return err
	}
	if err := file.Sync(); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

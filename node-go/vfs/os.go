package vfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// OS is the file system of the machine.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Create(path string) (File, error) {
	return open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func (osFS) Open(path string) (File, error) { return open(path, os.O_RDONLY) }

func (osFS) OpenAppend(path string) (File, error) { return open(path, os.O_RDWR|os.O_APPEND) }

func (osFS) Allocate(path string, size int64) (RandomFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	if err := allocate(file, size); err != nil {
		file.Close()
		// It may hold the last room that there was.
		return nil, errors.Join(err, os.Remove(path))
	}
	return osFile{file}, nil
}

func (osFS) OpenRandom(path string) (RandomFile, error) {
	file, err := os.OpenFile(path, os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{file}, nil
}

func (osFS) Rename(oldPath, newPath string) error { return os.Rename(oldPath, newPath) }

func (osFS) Remove(path string) error { return os.Remove(path) }

func (osFS) RemoveAll(path string) error { return os.RemoveAll(path) }

func (osFS) MkdirAll(path string) error { return os.MkdirAll(path, dirMode) }

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, nil
}

func (osFS) Stat(path string) (Info, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Info{}, err
	}
	return Info{Size: info.Size(), IsDir: info.IsDir()}, nil
}

func (osFS) SyncDir(dir string) error { return syncDir(dir) }

// Lock also writes the process id into the file, for the message that the next one to try gets. The file stays when
// the lock ends: removing it would let two processes lock two files of one name.
func (osFS) Lock(path string) (io.Closer, error) {
	file, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := lockFile(file); err != nil {
		defer file.Close()
		if errors.Is(err, errLocked) {
			return nil, &LockedError{Path: path, PID: readPID(file)}
		}
		return nil, err
	}
	if err := writePID(file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func readPID(file *os.File) int {
	text := make([]byte, 32)
	n, err := file.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return 0
	}
	return pid
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func open(path string, flags int) (File, error) {
	file, err := os.OpenFile(path, flags, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{file}, nil
}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncFile(f.File) }

func (f osFile) WriteBack() error { return writeBack(f.File) }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

package vfstest

import (
	"io"
	"io/fs"
)

// SectorBytes is what a disk writes wholly or not at all.
const SectorBytes = 512

// file is an open file. Like a descriptor it goes on after its name is gone.
type file struct {
	fs       *FS
	node     *node
	path     string
	writable bool
	position int64 // of Read
	closed   bool
}

func (f *file) Read(to []byte) (int, error) {
	n, err := f.ReadAt(to, f.position)
	f.position += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(to []byte, offset int64) (int, error) {
	if fault := f.fs.before("read", f.path, 0); fault.Err != nil {
		return 0, pathError("read", f.path, fault.Err)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, pathError("read", f.path, fs.ErrClosed)
	}
	if offset >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(to, f.node.data[offset:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

// Write appends.
func (f *file) Write(data []byte) (int, error) {
	return f.write(data, func(data []byte) { f.node.write(len(f.node.data), data) })
}

// WriteAt writes in place. A disk writes sectors, in any order: each is a change of its own, which a crash may lose.
func (f *file) WriteAt(data []byte, offset int64) (int, error) {
	return f.write(data, func(data []byte) {
		for at := 0; at < len(data); {
			sector := min(len(data)-at, SectorBytes-(int(offset)+at)%SectorBytes)
			f.node.writeSector(int(offset)+at, data[at:at+sector])
			at += sector
		}
	})
}

// write has as much written as a fault lets reach the file.
func (f *file) write(data []byte, to func([]byte)) (int, error) {
	fault := f.fs.before("write", f.path, len(data))
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed || !f.writable {
		return 0, pathError("write", f.path, fs.ErrClosed)
	}
	n := len(data)
	if fault.Err != nil {
		n = min(n, fault.Bytes)
	}
	if n > 0 {
		to(data[:n])
	}
	if fault.Err != nil {
		return n, pathError("write", f.path, fault.Err)
	}
	return n, nil
}

func (f *file) Sync() error {
	fault := f.fs.before("fsync", f.path, 0)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("fsync", f.path, fs.ErrClosed)
	}
	if fault.Err == nil {
		f.node.durable = f.node.content(keepAll)
	}
	f.node.pending = nil
	if fault.Err != nil {
		return pathError("fsync", f.path, fault.Err)
	}
	return nil
}

// WriteBack is nothing to rely on, and so is what it leaves out. It can fail.
func (f *file) WriteBack() error {
	if fault := f.fs.before("writeback", f.path, 0); fault.Err != nil {
		return pathError("writeback", f.path, fault.Err)
	}
	return nil
}

func (f *file) Truncate(size int64) error {
	if fault := f.fs.before("truncate", f.path, 0); fault.Err != nil {
		return pathError("truncate", f.path, fault.Err)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed || !f.writable {
		return pathError("truncate", f.path, fs.ErrClosed)
	}
	f.node.truncate(int(size))
	return nil
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.node.data)), nil
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("close", f.path, fs.ErrClosed)
	}
	f.closed = true
	f.fs.opened--
	return nil
}

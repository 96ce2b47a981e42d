package faults

import (
	"io/fs"
	"syscall"
	"time"

	"kvorum/node/vfs"
)

// Disk is a file system that fails as it is ordered. What is written in place fits always: its room was taken before.
func (w *Watch) Disk(base vfs.FS) vfs.FS { return &disk{FS: base, watch: w} }

type disk struct {
	vfs.FS
	watch *Watch
}

func (d *disk) Create(path string) (vfs.File, error) {
	if err := d.room("create", path); err != nil {
		return nil, err
	}
	opened, err := d.FS.Create(path)
	return d.file(opened, path, err)
}

func (d *disk) Open(path string) (vfs.File, error) { return d.FS.Open(path) }

func (d *disk) OpenAppend(path string) (vfs.File, error) {
	opened, err := d.FS.OpenAppend(path)
	return d.file(opened, path, err)
}

func (d *disk) file(opened vfs.File, path string, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &file{File: opened, disk: d, path: path}, nil
}

func (d *disk) Allocate(path string, size int64) (vfs.RandomFile, error) {
	if err := d.room("allocate", path); err != nil {
		return nil, err
	}
	opened, err := d.FS.Allocate(path, size)
	return d.randomFile(opened, path, err)
}

func (d *disk) OpenRandom(path string) (vfs.RandomFile, error) {
	opened, err := d.FS.OpenRandom(path)
	return d.randomFile(opened, path, err)
}

func (d *disk) randomFile(opened vfs.RandomFile, path string, err error) (vfs.RandomFile, error) {
	if err != nil {
		return nil, err
	}
	return &randomFile{RandomFile: opened, disk: d, path: path}, nil
}

func (d *disk) MkdirAll(path string) error {
	if _, err := d.Stat(path); err == nil {
		return d.FS.MkdirAll(path)
	}
	if err := d.room("mkdir", path); err != nil {
		return err
	}
	return d.FS.MkdirAll(path)
}

func (d *disk) SyncDir(dir string) error {
	return d.sync("fsync", dir, func() error { return d.FS.SyncDir(dir) })
}

// room says ENOSPC when there is none.
func (d *disk) room(call, path string) error {
	if orders, _ := d.watch.now(); orders.Disk.Full {
		return &fs.PathError{Op: call, Path: path, Err: syscall.ENOSPC}
	}
	return nil
}

// sync hangs, fails, lies, or does what it should.
func (d *disk) sync(call, path string, honestly func() error) error {
	d.watch.stall()
	orders, _ := d.watch.now()
	switch {
	case orders.Disk.SyncFails:
		return &fs.PathError{Op: call, Path: path, Err: syscall.EIO}
	case orders.Disk.SyncLies:
		return nil
	}
	return honestly()
}

// stall hangs as long as it is ordered.
func (w *Watch) stall() {
	since := w.options.Clock.Now()
	for {
		orders, changed := w.now()
		left := time.Duration(orders.Disk.SyncStallsMs)*time.Millisecond - w.options.Clock.Since(since)
		if left <= 0 {
			return
		}
		timer := w.options.Clock.NewTimer(left)
		select {
		case <-timer.C():
		case <-changed:
		}
		timer.Stop()
	}
}

type file struct {
	vfs.File
	disk *disk
	path string
}

func (f *file) Write(data []byte) (int, error) {
	if err := f.disk.room("write", f.path); err != nil {
		return 0, err
	}
	return f.File.Write(data)
}

func (f *file) Sync() error { return f.disk.sync("fsync", f.path, f.File.Sync) }

func (f *file) WriteBack() error { return f.disk.sync("write back", f.path, f.File.WriteBack) }

type randomFile struct {
	vfs.RandomFile
	disk *disk
	path string
}

func (f *randomFile) Sync() error { return f.disk.sync("fsync", f.path, f.RandomFile.Sync) }

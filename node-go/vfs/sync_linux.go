package vfs

import (
	"os"
	"syscall"
)

// syncFile is fdatasync: the content, and of the inode what is needed to read it, the size for one. fsync writes the times as
// well, which takes a commit of the file system's journal that nobody needs.
func syncFile(file *os.File) error { return control(file, "fdatasync", syscall.Fdatasync) }

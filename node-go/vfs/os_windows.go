package vfs

import (
	"os"

	"golang.org/x/sys/windows"
)

var errLocked = windows.ERROR_LOCK_VIOLATION

// lockFile locks one byte far past the end, so that others can still read the process id at the start.
func lockFile(file *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	where := &windows.Overlapped{OffsetHigh: 1}
	return windows.LockFileEx(windows.Handle(file.Fd()), flags, 0, 1, 0, where)
}

// syncDir does nothing: Windows has no fsync of a directory, and NTFS journals its names.
func syncDir(string) error { return nil }

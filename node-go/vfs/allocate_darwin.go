package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate takes the room, where the file system can do that.
func allocate(file *os.File, size int64) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	room := &unix.Fstore_t{Flags: unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: size}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = unix.FcntlFstore(fd, unix.F_PREALLOCATE, room) }); err != nil {
		return err
	}
	if failed != nil && !errors.Is(failed, unix.ENOTSUP) {
		return &os.PathError{Op: "allocate", Path: file.Name(), Err: failed}
	}
	return file.Truncate(size)
}

package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate takes the room, where the file system can do that.
func allocate(file *os.File, size int64) error {
	room := &unix.Fstore_t{Flags: unix.F_ALLOCATEALL, Posmode: unix.F_PEOFPOSMODE, Length: size}
	err := control(file, "allocate", func(fd int) error { return unix.FcntlFstore(uintptr(fd), unix.F_PREALLOCATE, room) })
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return file.Truncate(size)
}

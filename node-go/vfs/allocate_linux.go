package vfs

import (
	"errors"
	"os"
	"syscall"
)

// allocate takes the room, where the file system can do that.
func allocate(file *os.File, size int64) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = fallocate(int(fd), size) }); err != nil {
		return err
	}
	if errors.Is(failed, syscall.EOPNOTSUPP) || errors.Is(failed, syscall.ENOSYS) {
		return file.Truncate(size)
	}
	if failed != nil {
		return &os.PathError{Op: "allocate", Path: file.Name(), Err: failed}
	}
	return nil
}

func fallocate(fd int, size int64) error {
	for {
		if err := syscall.Fallocate(fd, 0, 0, size); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

package vfs

import (
	"errors"
	"os"
	"syscall"
)

// From linux/fs.h. The other flags would wait.
const syncFileRangeWrite = 2

func writeBack(file *os.File) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = syscall.SyncFileRange(int(fd), 0, 0, syncFileRangeWrite) }); err != nil {
		return err
	}
	for _, unable := range []error{syscall.EINVAL, syscall.ENOSYS, syscall.ESPIPE, syscall.EOPNOTSUPP} {
		if errors.Is(failed, unable) {
			return nil
		}
	}
	if failed != nil {
		return &os.PathError{Op: "write back", Path: file.Name(), Err: failed}
	}
	return nil
}

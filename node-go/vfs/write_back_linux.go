package vfs

import (
	"errors"
	"os"
	"syscall"
)

// From linux/fs.h. The other flags would wait.
const syncFileRangeWrite = 2

func writeBack(file *os.File) error {
	err := control(file, "write back", func(fd int) error { return syscall.SyncFileRange(fd, 0, 0, syncFileRangeWrite) })
	for _, unable := range []error{syscall.EINVAL, syscall.ENOSYS, syscall.ESPIPE, syscall.EOPNOTSUPP} {
		if errors.Is(err, unable) {
			return nil
		}
	}
	return err
}

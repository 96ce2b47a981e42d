package vfs

import (
	"os"
	"syscall"
)

// From linux/fs.h. The other flags would wait.
const syncFileRangeWrite = 2

func writeBack(file *os.File) {
	conn, err := file.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) { _ = syscall.SyncFileRange(int(fd), 0, 0, syncFileRangeWrite) })
}

//go:build unix

package vfs

import (
	"errors"
	"os"
	"syscall"
)

var errLocked = syscall.EWOULDBLOCK

func lockFile(file *os.File) error {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// control makes a system call on an open file, again if a signal interrupts it.
func control(file *os.File, op string, call func(fd int) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for failed = call(int(fd)); errors.Is(failed, syscall.EINTR); failed = call(int(fd)) {
		}
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return &os.PathError{Op: op, Path: file.Name(), Err: failed}
	}
	return nil
}

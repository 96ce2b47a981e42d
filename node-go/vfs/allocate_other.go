//go:build !linux && !darwin

package vfs

import "os"

// allocate only sets the size.
func allocate(file *os.File, size int64) error { return file.Truncate(size) }

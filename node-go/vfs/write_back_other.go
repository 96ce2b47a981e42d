//go:build !linux

package vfs

import "os"

// writeBack leaves it to the system, which writes what is old enough.
func writeBack(*os.File) error { return nil }

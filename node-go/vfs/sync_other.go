//go:build !linux

package vfs

import "os"

func syncFile(file *os.File) error { return file.Sync() }

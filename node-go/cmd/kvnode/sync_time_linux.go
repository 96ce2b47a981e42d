package main

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"kvorum/node/clock"
)

const (
	syncProbes     = 5
	syncProbeBytes = 4096
)

// syncTime is how long a small write takes to be on the disk where dir is, or will be: the shortest of a few, as other nodes may
// start beside this one, into a file that has no name, so that nothing can be left behind. Its errors are the file system's, which may
// have no such files.
func syncTime(dir string, clock clock.Clock) (time.Duration, error) {
	there, err := existing(dir)
	if err != nil {
		return 0, err
	}
	file, err := os.OpenFile(there, os.O_WRONLY|unix.O_TMPFILE, 0o600)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	block := make([]byte, syncProbeBytes)
	shortest := time.Duration(math.MaxInt64)
	// The first one also finds room for the block, as no entry of a log does.
	for probe := range 1 + syncProbes {
		began := clock.Now()
		if _, err := file.WriteAt(block, 0); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(file.Fd())); err != nil {
			return 0, err
		}
		if probe > 0 {
			shortest = min(shortest, clock.Since(began))
		}
	}
	return shortest, nil
}

// existing is dir, or the nearest folder above it that is there.
func existing(dir string) (string, error) {
	for {
		_, err := os.Stat(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir, err
		}
		dir = filepath.Dir(dir)
	}
}

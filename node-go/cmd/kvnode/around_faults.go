//go:build faults

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"kvorum/node/clock"
	"kvorum/node/faults"
	"kvorum/node/vfs"
	"kvorum/node/vfs/powercut"
)

// around is a disk and a clock that fail as a file beside the data directory says (package faults). What the disk may have
// to give back lies in the data directory: it must be the same disk.
func around(c config) (surroundings, error) {
	disk := powercut.New(vfs.OS(), filepath.Join(c.data, "attic"))
	// It is followed as long as the process lives.
	watch, err := faults.Open(faults.Options{
		Data: c.data, Files: vfs.OS(), Clock: clock.Real(), PID: os.Getpid(),
		CutPower: func(seed uint64) { cutPower(disk, seed) },
	})
	if err != nil {
		return surroundings{}, err
	}
	return surroundings{fs: watch.Disk(disk), clock: watch.Wall(clock.Real())}, nil
}

// cutPower does not return.
func cutPower(disk *powercut.FS, seed uint64) {
	if err := disk.Cut(seed); err != nil {
		fmt.Fprintf(os.Stderr, "kvnode: the power cut failed: %v\n", err)
		os.Exit(exitInternal)
	}
	for {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
}
